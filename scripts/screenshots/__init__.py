"""Take the pictures of `docs/`: pages of the demo, the film of cold against warm, and `/ops` on a made-up day."""
