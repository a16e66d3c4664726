"""The process that ends what actors leave behind, and how the daemon starts and ends it."""
