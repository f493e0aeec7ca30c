"""Embedding and search over HTTP, and the page: `create_app` makes the whole of it.

The way of a request: `guard` lets it in, `intake` reads its body within limits, `uploads` lays its
media into files, `batching` embeds them together with other requests', `shelf` asks the library.
"""
