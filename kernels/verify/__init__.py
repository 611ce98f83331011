"""Verification of drafts on the device, chains and trees: the accepted path and the tokens to emit."""
