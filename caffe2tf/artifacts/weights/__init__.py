"""Writers of weight files, and the block-wise transposition that they share."""
