"""The dashboard: pages, charts and the server around them."""
