from pathlib import Path

from bench import Files, Task, register_task

register_task(
    Task(
        name="my_spam",
        kind="classification",
        columns=("text",),
        labels=("ham", "spam"),
        words=("no", "yes"),
        prompt="Mail: {text}\nIs it spam? Answer:",
        metrics=("accuracy", "f1"),
        files=Files(
            paths={"train": Path("train.csv"), "dev": Path("dev.csv")},
            columns={"text": "body", "label": "class"},
            label_spellings=("ham", "spam"),
        ),
    )
)
