"""GLUE (Wang et al., 2019, arXiv 1804.07461): the classification tasks."""

from __future__ import annotations

from bench.rows.task import SPLITS, Classic, Hub, Task, register_task

REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"  # of nyu-mll/glue
BINARY = ("0", "1")
ENTAILMENT = ("entailment", "not_entailment")
ENTAILMENT_3 = ("entailment", "neutral", "contradiction")
TSV = {"train": "train.tsv", "dev": "dev.tsv"}
SCORES = ("0", "1", "2", "3", "4", "5")
MNLI_TSV = {"train": "train.tsv", "dev": "dev_matched.tsv", "mismatched": "dev_mismatched.tsv"}
# MRPC as Microsoft hands it out. Its test set stands in as dev, because GLUE's own dev rows are cut
# out of the train file by a list of ids that is a separate download.
MSR = {"train": "msr_paraphrase_train.txt", "dev": "msr_paraphrase_test.txt"}
# GLUE reports two metrics for MRPC, QQP and STS-B and averages the two (its Table 1); boards show
# the first.
ACCURACY_AND_F1 = ("accuracy", "f1")


def _classic(
    folder: str,
    columns: dict[str, str | int],
    spellings: tuple[str, ...] = BINARY,
    *,
    layouts: tuple[dict[str, str], ...] = (TSV,),
    header: bool = True,
    skip_short: bool = False,
) -> Classic:
    return Classic("glue", folder, layouts, columns, spellings, header, skip_short)


def _hub(config: str, *columns: str) -> Hub:
    same_names = {column: column for column in (*columns, "label")}
    splits = {"train": "train", "dev": "validation"}
    return Hub("nyu-mll/glue", config, REVISION, splits, same_names)


MNLI = Task(
    name="mnli",
    kind="classification",
    columns=("premise", "hypothesis"),
    labels=ENTAILMENT_3,
    words=("yes", "maybe", "no"),
    prompt="Text: {premise}\nClaim: {hypothesis}\nDoes the claim follow from the text? Answer:",
    metrics=("accuracy",),
    classic=_classic(
        "MNLI",
        {"premise": "sentence1", "hypothesis": "sentence2", "label": "gold_label"},
        ENTAILMENT_3,
        layouts=(MNLI_TSV,),
    ),
    hub=Hub(
        "nyu-mll/glue",
        "mnli",
        REVISION,
        {"train": "train", "dev": "validation_matched", "mismatched": "validation_mismatched"},
        {"premise": "premise", "hypothesis": "hypothesis", "label": "label"},
    ),
    paper="Williams et al., 2018, A Broad-Coverage Challenge Corpus for Sentence Understanding "
    "through Inference, arXiv 1704.05426",
    about="Does a claim follow from a text, contradict it, or neither? (Dev is the matched "
    "set; the mismatched one, from other genres, is scored beside it.)",
    rows=(392_702, 9815),
    extra=("mismatched",),
)

AX = Task(
    name="ax",
    kind="classification",
    columns=MNLI.columns,
    labels=MNLI.labels,
    words=MNLI.words,
    prompt=MNLI.prompt,
    metrics=("matthews_correlation", "accuracy"),
    classic=_classic(
        "diagnostic",
        {"premise": "Premise", "hypothesis": "Hypothesis", "label": "Label"},
        ENTAILMENT_3,
        layouts=({"dev": "diagnostic-full.tsv"},),
    ),
    paper="Wang et al., 2019, GLUE, arXiv 1804.07461, section 4",
    about="GLUE's diagnostic set: MNLI's question, on sentences that each need one skill. Only "
    "diagnostic-full.tsv has answers; diagnostic.tsv and the hub's rows have none.",
    rows=(392_702, 1104),
    train_from=MNLI,
    note="trained on mnli",
)

GLUE = (
    Task(
        name="cola",
        kind="classification",
        columns=("sentence",),
        labels=("unacceptable", "acceptable"),
        words=("no", "yes"),
        prompt="Sentence: {sentence}\nIs this sentence acceptable English? Answer:",
        metrics=("matthews_correlation",),
        classic=_classic("CoLA", {"sentence": 3, "label": 1}, header=False),
        hub=_hub("cola", "sentence"),
        paper="Warstadt et al., 2019, Neural Network Acceptability Judgments, arXiv 1805.12471",
        about="Is a sentence from the linguistics literature grammatical?",
        rows=(8551, 1043),
        counted=SPLITS,
    ),
    Task(
        name="sst2",
        kind="classification",
        columns=("sentence",),
        labels=("negative", "positive"),
        words=("negative", "positive"),
        prompt="Review: {sentence}\nIs this review negative or positive? Answer:",
        metrics=("accuracy",),
        classic=_classic("SST-2", {"sentence": "sentence", "label": "label"}),
        hub=_hub("sst2", "sentence"),
        paper="Socher et al., 2013, Recursive Deep Models for Semantic Compositionality Over a "
        "Sentiment Treebank, EMNLP",
        about="Is a phrase from a film review negative or positive?",
        rows=(67_349, 872),
        counted=SPLITS,
    ),
    Task(
        name="stsb",
        kind="regression",
        columns=("sentence1", "sentence2"),
        labels=SCORES,
        words=SCORES,
        prompt="Sentence 1: {sentence1}\nSentence 2: {sentence2}\n"
        "How similar are the two sentences, from 0 to 5? Answer:",
        metrics=("pearson", "spearman"),
        classic=_classic(
            "STS-B",
            {"sentence1": "sentence1", "sentence2": "sentence2", "label": "score"},
            (),
        ),
        hub=_hub("stsb", "sentence1", "sentence2"),
        paper="Cer et al., 2017, SemEval-2017 Task 1: Semantic Textual Similarity, arXiv "
        "1708.00055",
        about="How alike are two sentences in meaning, from 0 to 5?",
        rows=(5749, 1500),
        counted=SPLITS,
    ),
    Task(
        name="mrpc",
        kind="classification",
        columns=("sentence1", "sentence2"),
        labels=("not_equivalent", "equivalent"),
        words=("no", "yes"),
        prompt="Sentence 1: {sentence1}\nSentence 2: {sentence2}\n"
        "Do the two sentences mean the same? Answer:",
        metrics=ACCURACY_AND_F1,
        classic=_classic(
            "MRPC",
            {"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"},
            layouts=(TSV, MSR),
        ),
        hub=_hub("mrpc", "sentence1", "sentence2"),
        paper="Dolan and Brockett, 2005, Automatically Constructing a Corpus of Sentential "
        "Paraphrases, IWP",
        about="Do two sentences from the news paraphrase each other?",
        rows=(3668, 408),
    ),
    Task(
        name="qqp",
        kind="classification",
        columns=("question1", "question2"),
        labels=("not_duplicate", "duplicate"),
        words=("no", "yes"),
        prompt="Question 1: {question1}\nQuestion 2: {question2}\n"
        "Do the two questions ask the same? Answer:",
        metrics=ACCURACY_AND_F1,
        classic=_classic(
            "QQP",
            {"question1": "question1", "question2": "question2", "label": "is_duplicate"},
            # Line breaks cut a few rows of the official files (nyu-mll/GLUE-baselines#5); the hub
            # leaves them out as well.
            skip_short=True,
        ),
        hub=_hub("qqp", "question1", "question2"),
        paper="Iyer et al., 2017, First Quora Dataset Release: Question Pairs",
        about="Do two questions from Quora ask the same?",
        rows=(363_846, 40_430),
    ),
    MNLI,
    AX,
    Task(
        name="qnli",
        kind="classification",
        columns=("question", "sentence"),
        labels=ENTAILMENT,
        words=("yes", "no"),
        prompt="Question: {question}\nSentence: {sentence}\n"
        "Does the sentence answer the question? Answer:",
        metrics=("accuracy",),
        classic=_classic(
            "QNLI",
            {"question": "question", "sentence": "sentence", "label": "label"},
            ENTAILMENT,
        ),
        hub=_hub("qnli", "question", "sentence"),
        paper="Rajpurkar et al., 2016, SQuAD, arXiv 1606.05250; recast by Wang et al., 2019",
        about="Does a sentence from Wikipedia contain the answer to a question?",
        rows=(104_743, 5463),
        counted=("dev",),
    ),
    Task(
        name="rte",
        kind="classification",
        columns=("sentence1", "sentence2"),
        labels=ENTAILMENT,
        words=("yes", "no"),
        prompt="Text: {sentence1}\nClaim: {sentence2}\n"
        "Does the claim follow from the text? Answer:",
        metrics=("accuracy",),
        classic=_classic(
            "RTE",
            {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label"},
            ENTAILMENT,
        ),
        hub=_hub("rte", "sentence1", "sentence2"),
        paper="Dagan et al., 2006; Bar Haim et al., 2006; Giampiccolo et al., 2007; Bentivogli "
        "et al., 2009: the PASCAL Recognizing Textual Entailment Challenges 1, 2, 3 and 5",
        about="Does a claim follow from a passage of news or encyclopedia text?",
        rows=(2490, 277),
        counted=SPLITS,
    ),
    Task(
        name="wnli",
        kind="classification",
        columns=("sentence1", "sentence2"),
        labels=("not_entailment", "entailment"),
        words=("no", "yes"),
        prompt="Text: {sentence1}\nClaim: {sentence2}\n"
        "Does the claim follow from the text? Answer:",
        metrics=("accuracy",),
        classic=_classic(
            "WNLI", {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label"}
        ),
        hub=_hub("wnli", "sentence1", "sentence2"),
        paper="Levesque et al., 2012, The Winograd Schema Challenge, KR; recast by Wang et al., "
        "2019",
        about="Is a pronoun replaced by what it refers to? (Dev answers oppose those in train.)",
        rows=(635, 71),
    ),
)

for _task in GLUE:
    register_task(_task)
