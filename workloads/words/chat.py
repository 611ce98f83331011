# ruff: noqa: E501 (one template a line)
"""What the chat answers are made of: for each kind, what is asked and the stages of an answer, one list a stage."""

STORY_ASK = [
    "{Tell me|Write|Please tell me|I would like to hear} a {short |}story about <n>, the <job>, and {a|the|some} <adj> <things>.",
    "{Can you write|Could you tell} a story with <n>, {a <job> from|who lives in} <p>, and <adj> <things>?",
]
STORY = [
    [
        "{Once|Many years ago|Long ago|In a far land}, {there lived|there was} a <job> {called|named|with the name of} <n> {in <p>|near the <habitat> of <p>|at the edge of <p>}.",
        "<n> {was|had always been} the {best|youngest|oldest|only} <job> in <p>{|, and everyone knew it|, but nobody cared}.",
    ],
    [
        "{Every day|All winter|Each morning|For years}, <n> {worked hard|walked to the <habitat>|sold <goods> at the <building>|dreamed of {the sea|a long trip|a new life}}{| with {an old dog|a good friend|a song}}.",
        "<n> {owned|had} {only|nothing but} {one coat|two chairs|a few <goods>|a small <vehicle>} and {a big heart|many questions|a little hope|no fear}.",
    ],
    [
        "{One <weekday>|One night|On a cold day|Then, one evening}, {<m> came to the door|a stranger called <m> arrived|the <weather> took the roof away|a <animal> spoke to <n>} {and|, and soon <n>} {asked for|found|brought|lost} {the|some} <adj> <things>.",
        "{But|Then} one day {the <building> of <p> burned down|the <habitat> dried up|the <adj> <things> were gone|a letter from <m> came}, and <n> {did not know what to do|had to leave at once|cried for an hour|laughed aloud}.",
    ],
    [
        '{"{Do not be afraid|Follow me|We have no time|Let me help you|This is a secret}", said <m>{| with a smile| in a low voice}.|<n> took the <adj> <things> and {ran to the <habitat>|hid in the <building>|gave them to <m>|put them in a <vehicle>}.}',
        "{Together they|<n> and <m>} {built|found|repaired|painted} {a <vehicle>|the <building>|a bridge of <material>} {in one night|in <num> days|before the <weather> came}.",
    ],
    [
        "{In the end|At last|Finally}, {the people of <p> were thankful|<n> became rich|the <animal> went home|the <things> were safe}, and {they all ate <food>|nobody was sad any more|<n> never forgot <m>|the <habitat> was quiet again}.",
        "{And so|From that day on}, <n> {told this story to every child|lived in the <building>|always kept {one|some} of the <things>|was a friend of <m>}.",
    ],
]

ADVICE_ASK = [
    "{How can I|What is the best way to|Do you have advice on how to|How do I} {start with|get better at|learn|enjoy} <hobby>{| in <p>| as a <job>}?",
    "I {want|would like} to {try|take up} <hobby> {with <n>|this <season>|in <p>}. {What should I do|Where do I begin|Any ideas}?",
]
ADVICE = [
    [
        "{Good question!|That is a fine plan.|I am happy to help.|Nice idea!} {<Hobby> is {easier|harder} than it looks|Many people love <hobby>|You can learn <hobby> at any age}.",
        "{Yes|Of course}, <hobby> {is good for {the mind|the body|your health}|can be great fun|needs some patience}, {but start slowly|and it costs little|so take your time}.",
    ],
    [
        "First, {find|look for|ask for} {a quiet place|a good teacher|a small group|some simple <goods>}{| near the <building>| in your town| before you spend money}.",
        "{To begin|At first}, {read a book about it|watch someone who does it well|set aside <num> minutes a day|buy only {one|two} <goods>}.",
    ],
    [
        "{Second|Then|Next}, {practise|do it|try it} {every <weekday>|twice a week|in the morning|after work}, even {in the <weather>|when you are tired|if it is hard at first}.",
        "{After that|Then}, {write down|note} {what went well|how long it took|every mistake}, {and talk about it with <n>|so that you see your progress|because we forget quickly}.",
    ],
    [
        "{Also|Besides}, {eat some <food> before you start|do not compare yourself with others|wear a <colour> hat in the sun|keep your <goods> clean and dry}.",
        "{Do not|Never} {give up after a week|start without water|buy cheap <goods>|hurry}; {it takes time|it is not worth it|that is a common mistake}.",
    ],
    [
        "{In short|Above all}, {be patient and have fun|stay calm|enjoy the small steps|do a little every day}. {Good luck!|Have fun!|You can do it!|Let me know how it goes.}"
    ],
]

LETTER_ASK = [
    "{Write|Help me write|Please write|Draft} {a {short |}letter|an email|a note} to <n> {about|because of} the <adj> <things>{| from <m>}.",
    "{Can you write|I need} {a letter|an email} {for|to} <n> in <p> {about|concerning} {some|my|our} <adj> <things>?",
]
LETTER = [
    [
        "Dear <n>,\n\n{I hope you are well|Thank you for your last letter|I hope this finds you in good health|How is life in <p>?}{.| after so much <weather>.}"
    ],
    [
        "I am writing {about|because of} the <adj> <things> {that {you sent me|I bought in <month>|we spoke about|you left at the <building>}}.",
        "The <adj> <things> {arrived on <weekday>|are still at the <building>|have not come yet|look very good}, {and|but} {I have a question|one of them is broken|the price is too high|we need <num> more}.",
    ],
    [
        "{Could you|Would you please|I would be glad if you could} {send|bring|keep|show me} {the rest|another box|<num> of them|the bill} {before <weekday>|in <month>|by <vehicle>|as soon as you can}?",
        "{If you agree|If there is time}, {we could meet at the <building>|I will come to <p> by <vehicle>|we can share the cost|<m> can help us} {on <weekday>|next week|in <month>}.",
    ],
    [
        "My {neighbours|children|parents} send you {greetings|best wishes}{| and some <food>}.",
        "Please {give|send} my {greetings|best wishes} to <m>.",
        "{The <season> here is|It has been} {cold|lovely|wet|busy}, {and we think of you often|but we are well}.",
    ],
    ["{Kind regards|Best wishes|Yours truly|With many thanks},\n<m>"],
]

PLACE_ASK = [
    "{What is|Tell me what} <p> {like|known for}?",
    "{Describe|Tell me about} {the town of |}<p>{| for a visitor| in a few sentences| with its <building>}.",
    "{What can I do|What should I see} in <p> {in <month>|on a <weekday>|with two children}?",
]
PLACE = [
    [
        "<p> is a <adj> {town|village|place} {by|near|on} the <habitat>{, and {it is worth a visit|most visitors come in <season>}|, not far from <q>}.",
        "{Most people know|Many travellers love} <p> for its {<food>|<adj> <building>|<goods>|<animal>s}{| and its quiet streets}.",
    ],
    [
        "{Start|Begin|You can begin} {at|with} the <building>, {which is made of <material>|where <m> once worked|built <num> years ago}.",
        "The <building> {stands in the middle|is hard to miss|has a <colour> roof}, and {a <job> shows you around|it is open on <weekday>|entry costs <num> coins}.",
    ],
    [
        "{Then|After that}, {walk|take a <vehicle>|go} {along|to} the <habitat>{, where you may see a <animal>| and look for the <animal>|, but mind the <weather>}.",
        "In <month>, {people meet for <hobby>|there is a market for <goods>|a <job> plays the <instrument>} {near the <habitat>|every evening|in the main street}.",
    ],
    [
        "{Do try|Everyone should taste|Do not miss} the <food>{| from the little shop of <n>| with some <food2>}{|, it is the best in the land}.",
        "{Buy|Look for} {some|a few} <colour> <goods> {as a gift|at the market|before you leave}.",
    ],
    [
        "{If you stay longer|On your last day}, {visit <q>|rent a <vehicle>|ask <n> about the old days|rest in a garden}. {You will not regret it.|Have a good trip!|It is lovely in <season>.}"
    ],
]
