"""The words of the micro world. Plain data: order matters (items are drawn by position)."""

from __future__ import annotations


def words(text: str, separator: str | None = None) -> tuple[str, ...]:
    """The parts of a text, at white space or at a separator."""
    return tuple(text.split(separator))


def entries(text: str) -> tuple[tuple[str, ...], ...]:
    """The parts of each of the entries "a/b|c/d"."""
    return tuple(words(entry, "/") for entry in words(text, "|"))


MEN = words(
    "Albin Bero Cato Darun Edvin Faro Gorin Hamo Ivor Jurin Kelmo Lorin Mavo Nelin Orvo Pavo "
    "Quill Ramo Silvo Tarin"
)
WOMEN = words(
    "Alda Bela Cira Dalia Edna Fara Gilda Hela Ilsa Jora Kelda Luma Mira Nella Orsa Pella "
    "Quina Rila Selma Tilda"
)
TOWNS = words(
    "Arbury Barwick Colden Dunmore Eastby Fenwick Garstad Holmby Ironton Jasford Kirkwall "
    "Lynford Marsden Norbury Oakham Penrith"
)
JOBS = words(
    "baker doctor farmer lawyer miller painter pilot plumber sailor singer tailor teacher "
    "weaver writer nurse judge"
)
PETS = words("cat dog goat parrot rabbit snake turtle pony")
INSTRUMENTS = words("banjo cello drum flute guitar harp piano violin")

PEOPLE = words("boy girl child woman man king queen guest student neighbour stranger clerk")
PLURALS = {
    "boy": "boys", "girl": "girls", "child": "children", "woman": "women", "man": "men",
    "king": "kings", "queen": "queens", "guest": "guests", "student": "students",
    "neighbour": "neighbours", "stranger": "strangers", "clerk": "clerks",
}  # fmt: skip
PLACES = words("in the garden|at the market|in the park|near the bridge|by the river|at home", "|")
TIMES = words("in the morning|at noon|in the evening|on Monday|on Friday|last night", "|")

# lemma, past, the regular form that it does not have, and what follows it
PAST = entries(
    "go/went/goed/to the park|take/took/taked/the train|sing/sang/singed/a song|"
    "eat/ate/eated/the bread|write/wrote/writed/a letter|drink/drank/drinked/the tea|"
    "give/gave/gived/a talk|see/saw/seed/the river|come/came/comed/home|"
    "know/knew/knowed/the answer|think/thought/thinked/about it|buy/bought/buyed/a lamp|"
    "bring/brought/bringed/a chair|catch/caught/catched/the ball|teach/taught/teached/the class|"
    "find/found/finded/the key|keep/kept/keeped/the secret|feel/felt/feeled/the cold|"
    "leave/left/leaved/the room|lose/lost/losed/the ring|sell/sold/selled/the house|"
    "tell/told/telled/a story|hold/held/holded/the rope|stand/stood/standed/up|"
    "run/ran/runned/home|swim/swam/swimmed/in the lake|fly/flew/flied/the kite|"
    "grow/grew/growed/some corn|draw/drew/drawed/a map|throw/threw/throwed/the stone|"
    "break/broke/breaked/the cup|speak/spoke/speaked/to the judge|steal/stole/stealed/a coin|"
    "choose/chose/choosed/a hat|drive/drove/drived/the cart|ride/rode/rided/the horse|"
    "rise/rose/rised/early|fall/fell/falled/down|begin/began/beginned/the work|"
    "ring/rang/ringed/the bell|win/won/winned/the game|dig/dug/digged/a hole|"
    "build/built/builded/a wall|send/sent/sended/a card|spend/spent/spended/the money|"
    "shake/shook/shaked/the box|wear/wore/weared/a coat|forget/forgot/forgetted/the name"
)
INTRANSITIVE = words(
    "slept smiled sneezed coughed arrived vanished laughed yawned trembled snored waited "
    "wept shivered existed blinked rested kneeled appeared limped died fainted paused blushed "
    "giggled"
)
TRANSITIVE = words(
    "devoured admired repaired destroyed carried opened examined collected borrowed fetched "
    "praised accused mentioned avoided wanted needed trusted blamed described used owned "
    "removed bothered damaged"
)
OBJECTS = words("the letter|the chair|the guest|the bread|the painting|the clerk", "|")
MASS = words(
    "furniture luggage advice homework music equipment traffic mud sand luck rice butter dust "
    "bread snow smoke wheat soup oil ink"
)
COUNT = words(
    "chair bag tip exercise song machine wagon puddle stone prize bean cake crumb plate candle "
    "cloud nail spoon barrel pencil"
)
GROUPS = words(
    "crew team family jury band committee choir council staff army company club class party"
)

CLASSES = {
    "fruit": "apple pear plum peach cherry lemon melon grape mango fig",
    "bird": "crow eagle finch gull heron owl raven sparrow swan wren",
    "tool": "hammer saw chisel drill spade rake axe wrench clamp file",
    "fish": "trout salmon cod herring perch pike carp eel tuna sole",
    "tree": "oak elm birch maple pine willow cedar ash beech fir",
    "garment": "scarf jacket shirt skirt glove sock vest cloak apron belt",
    "vehicle": "truck tram bus boat canoe bicycle van ferry sledge taxi",
    "flower": "rose tulip lily daisy orchid poppy violet iris aster lotus",
}

# five grades, worst first
VALENCE = {
    -2: "awful horrible dreadful terrible hideous appalling atrocious vile ghastly wretched "
    "abysmal rotten",
    -1: "dull weak boring clumsy flat stale bland tedious shallow messy lazy dreary",
    1: "nice pleasant decent solid neat warm lively clever tidy smooth charming likeable",
    2: "superb wonderful brilliant excellent splendid dazzling magnificent stunning glorious "
    "marvellous exquisite thrilling",
}
ASPECTS = words("plot film acting music story ending cast dialogue script novel show song")

SYNONYMS = entries(
    "purchased/acquired|constructed/erected|concealed/hid|mended/fixed|located/discovered|"
    "wrecked/ruined|halted/stopped|started/launched|altered/changed|viewed/watched|"
    "selected/picked|gathered/assembled|requested/demanded|hauled/dragged|tossed/hurled|"
    "polished/shined|scrubbed/cleaned|seized/grabbed|guarded/protected|followed/chased|"
    "answered/replied to|despised/hated|adored/loved|detected/noticed|finished/completed|"
    "permitted/allowed|inspected/checked|snatched/stole|attached/fastened|ripped/tore|"
    "lifted/raised|shoved/pushed|shut/closed|displayed/showed|obtained/got|welcomed/greeted"
)
THINGS = words("car house bridge gate box table lamp clock engine statue boat tower")

# who "had ..." : the first person (subject) or the second (object) of "A VERB B because A/B had"
BIAS_SUBJECT = words(
    "angered annoyed amused disappointed frightened charmed delighted "
    "betrayed inspired worried impressed bored deceived"
)
BIAS_OBJECT = words(
    "thanked punished scolded congratulated feared envied pitied rewarded mocked forgave "
    "comforted corrected sued fired hired"
)
REASONS = words(
    "had lost the race|had told a lie|had won a prize|had broken the cup|had made a mistake|"
    "had been very kind|had come too late|had saved the dog",
    "|",
)
