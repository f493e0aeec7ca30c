"""A media library: files of any kind indexed incrementally, and searched by any kind of query."""
