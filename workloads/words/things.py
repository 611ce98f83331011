"""Nouns and adjectives that the passages are made of."""

JOBS = [
    "baker", "carpenter", "teacher", "doctor", "farmer", "painter", "sailor", "miller", "tailor", "gardener",
    "nurse", "engineer", "librarian", "potter", "weaver", "clockmaker", "beekeeper", "fisher", "printer",
    "musician", "blacksmith", "cook", "photographer", "shepherd", "lawyer", "merchant", "driver", "architect",
]  # fmt: skip
COLOURS = [
    "red", "blue", "green", "yellow", "white", "black", "brown", "grey", "silver", "golden", "purple",
    "orange",
]  # fmt: skip
FOODS = [
    "bread", "cheese", "honey", "apples", "plums", "soup", "fish", "rice", "carrots", "pears", "butter",
    "tea", "coffee", "cakes", "beans", "potatoes", "onions", "grapes", "walnuts", "mushrooms",
]  # fmt: skip
GOODS = [
    "books", "lamps", "candles", "blankets", "ropes", "baskets", "bottles", "boxes", "chairs", "tables",
    "mirrors", "clocks", "maps", "letters", "coats", "boots", "hats", "tools", "bricks", "tiles", "nails",
    "seeds", "coins", "paintings", "photographs", "shells", "bells", "drums", "kites", "pots", "plates",
    "cups", "spoons",
]  # fmt: skip
BUILDINGS = [
    "library", "mill", "bridge", "school", "theatre", "chapel", "market hall", "lighthouse", "museum",
    "station", "hospital", "tower", "bakery", "harbour office", "town hall", "greenhouse", "stable", "well",
]  # fmt: skip
MATERIALS = [
    "stone", "brick", "oak", "pine", "iron", "glass", "clay", "copper", "marble", "slate", "steel", "timber",
]  # fmt: skip
ANIMALS = [
    "heron", "otter", "fox", "owl", "beaver", "badger", "hare", "falcon", "swan", "deer", "crane", "turtle",
    "lynx", "raven", "hedgehog", "squirrel", "salmon", "seal", "goose", "woodpecker",
]  # fmt: skip
HABITATS = [
    "river", "lake", "forest", "marsh", "valley", "meadow", "coast", "island", "hill", "canal", "moor", "reef",
]  # fmt: skip
ADJECTIVES = [
    "old", "small", "large", "quiet", "narrow", "broad", "heavy", "light", "bright", "dark", "cold", "warm",
    "rough", "smooth", "clean", "dusty", "strange", "simple", "strong", "broken", "round", "tall", "famous",
    "plain", "empty", "crowded",
]  # fmt: skip
WEATHER = [
    "rain", "snow", "fog", "wind", "sunshine", "hail", "frost", "thunder", "mist", "heat",
]  # fmt: skip
INSTRUMENTS = [
    "violin", "flute", "piano", "drum", "guitar", "trumpet", "harp", "cello", "organ", "accordion",
]  # fmt: skip
SUBJECTS = [
    "history", "music", "botany", "medicine", "law", "astronomy", "painting", "geography", "chemistry",
    "mathematics", "poetry", "engineering",
]  # fmt: skip
HOBBIES = [
    "chess", "rowing", "gardening", "hiking", "singing", "dancing", "cycling", "fishing", "sewing", "running",
    "cooking", "drawing", "swimming", "reading", "pottery", "archery",
]  # fmt: skip
VEHICLES = [
    "boat", "train", "cart", "bus", "ship", "bicycle", "ferry", "wagon", "barge", "canoe",
]  # fmt: skip
