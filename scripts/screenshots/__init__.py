"""Take the pictures of `docs/`: pages of the demo, and `/ops` on a made-up day."""
