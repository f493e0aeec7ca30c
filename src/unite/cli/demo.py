"""`unite demo`."""
def demo() -> None:
    """demo"""
