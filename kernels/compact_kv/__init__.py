"""Moving the cache rows of an accepted path down to where the sequence goes on."""
