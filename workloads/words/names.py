"""Name patterns in the `{a|b}` notation of `Draw.say`: thousands of names, so that no name can be learned by heart."""

START = "{B|Br|C|D|Dr|F|G|Gr|H|J|K|L|M|N|P|R|S|St|T|Tr|V|W|Z|Al|El|Or|Is|Ad|Em}"
MIDDLE = "{a|e|i|o|u}{l|n|r|m|d|v|s|t|b|k|nd|rl|st|ll|nn}"

FIRST = START + MIDDLE + "{a|o|y|in|en|is|us|ia|ek|ard|ette|ine|an|or}"
LAST = START + MIDDLE + "{er|ham|son|ley|man|ov|ski|well|ford|by|low|berg|sen|ick|mont|dale}"
PLACE = START + MIDDLE + "{ton|ville|port|mouth|field|bridge|wick|stead|mere|burg|haven|holm|gate|moor|cliff}"
BRAND = START + MIDDLE + "{ex|ora|ium|tek|ano|ix|ello|ane|ara|on}"
