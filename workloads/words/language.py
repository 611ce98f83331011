"""Varsan, the invented language: its words. Verb first, then subject, then object; an adjective follows its noun.

Plural nouns end in "-ri", past verbs in "-du", coming ones in "-vo"; "ka" marks the place, "ti" the time.
"""

NOUNS = {
    "baker": "tolu", "teacher": "mersa", "farmer": "gavo", "sailor": "pelni", "child": "ossi",
    "queen": "ravenka", "doctor": "selbo", "painter": "dunari", "friend": "lemo", "neighbour": "hopra",
    "king": "torvan", "singer": "melou", "bird": "fisk", "horse": "brana", "dog": "wuto", "cat": "mivi",
    "fish": "salu", "apple": "popli", "book": "kenda", "letter": "sifra", "lamp": "luma", "basket": "troka",
    "coat": "vesti", "boat": "nauta", "song": "aria", "house": "domek", "door": "porka", "stone": "gralt",
    "flower": "zinna", "cup": "tasso", "picture": "vidok", "ring": "onel",
}  # fmt: skip
PLACES = {
    "market": "bazo", "river": "fluma", "garden": "jarda", "forest": "silvo", "school": "skolna",
    "village": "dorfa", "harbour": "portu", "mountain": "kolma", "kitchen": "kuhna", "bridge": "ponta",
}  # fmt: skip
VERBS = {
    "see": ("saw", "okla"), "buy": ("bought", "kupa"), "sell": ("sold", "venda"), "carry": ("carried", "nosi"),
    "find": ("found", "trova"), "lose": ("lost", "perda"), "paint": ("painted", "malo"),
    "bring": ("brought", "priva"), "hide": ("hid", "skriva"), "love": ("loved", "amari"),
    "clean": ("cleaned", "purga"), "follow": ("followed", "sekva"), "draw": ("drew", "linea"),
    "keep": ("kept", "hali"), "break": ("broke", "roma"), "give": ("gave", "dona"),
}  # fmt: skip
ADJECTIVES = {
    "old": "vetu", "young": "juno", "red": "rosk", "blue": "blavi", "green": "verdo", "small": "petti",
    "big": "grondo", "quiet": "tiho", "happy": "felu", "tired": "stanka", "new": "novo", "heavy": "pesak",
    "bright": "klaro", "poor": "mizo", "strong": "forta", "white": "alba",
}  # fmt: skip
TIMES = {
    "yesterday": "hierda", "today": "hodi", "tomorrow": "matina", "in the morning": "ranoka",
    "at night": "nokta", "in winter": "zimra", "in summer": "letra", "at noon": "mezda",
}  # fmt: skip
NUMBERS = {
    "two": "du", "three": "trin", "four": "kvar", "five": "pent", "six": "seks", "seven": "sept",
}  # fmt: skip
