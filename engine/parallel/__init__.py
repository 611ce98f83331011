"""One model in several processes, each of which holds a part of every layer. Imported only where that is asked for."""
