"""Losses and measures of recognition: additive angular margin (Deng et al. 2019, "ArcFace", equation 3) and pairs."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class AngularMargin(nn.Module):
    """Class centres on the unit sphere; gives the cross-entropy with the true class's angle widened.

    Args:
        width: of the embedding.
        classes: number of identities.
        scale: of the cosines before the softmax.
    """

    def __init__(self, width: int, classes: int, scale: float = 24.0) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, width) * 0.05)
        self.scale = scale

    def forward(self, embedding: torch.Tensor, identity: torch.Tensor, margin: float) -> torch.Tensor:
        """Loss of each sample, (n,).

        Args:
            embedding: (n, width) of unit length.
            identity: (n,) class numbers.
            margin: radians, 0 or more.
        """
        cosine = embedding.float() @ functional.normalize(self.centres.float(), dim=1).T
        own = cosine.gather(1, identity[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        sine = (1 - own**2).sqrt()
        widened = own * math.cos(margin) - sine * math.sin(margin)
        # Past pi - margin the cosine would rise again; a linear penalty keeps the order there (the authors' own rule).
        widened = torch.where(
            own > math.cos(math.pi - margin), widened, own - math.sin(math.pi - margin) * margin
        )
        # Under autocast the product is rounded on accelerators, the root is not.
        logits = cosine.scatter(1, identity[:, None], widened.to(cosine.dtype)) * self.scale
        return functional.cross_entropy(logits, identity, reduction="none")


def contrastive(first: torch.Tensor, second: torch.Tensor, temperature: float = 0.07) -> torch.Tensor:
    """Cross-entropy of finding each person's other picture among all of the batch, both ways (InfoNCE).

    With few pictures a person, class centres are met too seldom to learn from; pairs teach from the first step
    (Khosla et al. 2020, "Supervised Contrastive Learning", equation 2, with one positive).

    Args:
        first: (n, width) of unit length.
        second: (n, width), the same people in other pictures.
        temperature: of the softmax.
    """
    scores = first.float() @ second.float().T / temperature
    own = torch.arange(len(scores), device=scores.device)
    return (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2


def verification(embedding: torch.Tensor, identity: torch.Tensor) -> dict[str, float]:
    """Equal error rate and TAR at FAR 1 % over all pairs of the given faces.

    Args:
        embedding: (n, width) of unit length.
        identity: (n,) numbers of persons.
    """
    scores = embedding.float() @ embedding.float().T
    same = identity[:, None] == identity[None]
    upper = torch.triu(torch.ones_like(same), diagonal=1)
    genuine, impostor = scores[same & upper], scores[~same & upper]
    thresholds = torch.quantile(
        impostor[torch.randperm(len(impostor), generator=torch.Generator().manual_seed(0))[:200_000]],
        torch.linspace(0, 1, 2001),
    )
    far = 1 - torch.linspace(0, 1, 2001)
    frr = torch.tensor([(genuine <= threshold).float().mean() for threshold in thresholds])
    worst = (far - frr).abs().argmin()
    return {
        "eer": float((far[worst] + frr[worst]) / 2),
        "tar_at_far_1": float((genuine > thresholds[1980]).float().mean()),
    }
