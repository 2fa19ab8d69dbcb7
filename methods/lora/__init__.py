"""Low-rank adaptation (Hu et al. 2021)."""

from methods.lora.method import LoRA

__all__ = ["LoRA"]
