from dataclasses import dataclass

from bench import Card, Keeps, Method, register_method, setting


@dataclass(frozen=True)
class L2SPConfig:
    alpha: float = setting(0.01, "weight of the pull to θ0", low=0.0)


@register_method("my_l2sp")
class L2SP(Method):
    """Pull the weights back to θ0."""

    card = Card(
        title="L2-SP",
        paper="Li et al. 2018, arXiv 1802.01483",
        equation="L = L_task + (α/2) ‖θ − θ0‖²",
        defaults="mine",
        passes="none",
    )
    Config = L2SPConfig
    keeps = Keeps(theta0=1)  # in memory, beside what plain fine-tuning takes
    off = {"alpha": 0.0}  # with these settings it is plain fine-tuning
    meaning = "retains"  # what selfcheck measures

    def after_backward(self, run):
        for name, parameter in run.loaded.pretrained():
            if parameter.grad is not None:  # it may be frozen
                pull = parameter.detach() - run.anchor[name]
                parameter.grad.add_(pull, alpha=self.config.alpha)
