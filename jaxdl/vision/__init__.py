"""Images: augmentation, corruptions, retrieval, likelihood bounds, and the tasks built on them."""
