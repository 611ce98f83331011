# ruff: noqa: E501 (one template a line)
"""Stories for the word problems; `<a>`, `<b>`, `<c>` are numbers, `<n>`, `<m>` names, `<t>` things, `<p>` a place."""

GAIN = [
    "<n> {has|owns|starts with} <a> <t>. {Then|Later|On <day>} <n> {buys|finds|gets|receives} <b> more {from <m>|in <p>|at the market}.",
    "{There are|A shop in <p> has|<m> keeps} <a> <t> {in a box|on a shelf|in the store}. <n> {adds|brings} <b> more.",
]
LOSS = [
    "{Then|After that|On <day>} <n> {gives <c> of them to <m>|loses <c> of them|sells <c> of them {in <p>|to <m>}}.",
    "{After a while|The next day}, <c> of them {break|are sold|are lost|go to <m>}.",
]
TIMES = [
    "<n> {fills|packs} <a> boxes with <b> <t> each{| in <p>}.",
    "{Each of <a> {friends|neighbours|pupils} brings <n> <b> <t>.|In <p>, <n> sells <b> <t> a day for <a> days.}",
]
SHARE = ["<n> {shares|divides} <a> <t> {equally |}among <b> {friends|children|shops|boxes}{| in <p>}."]
LEFT = [
    "How many <t> {are there|are left|are there in the end} now?",
    "How many <t> remain?",
    "How many <t> does that make?",
]
EACH = ["How many <t> does each {one |}get?", "How many <t> are in each share?"]
