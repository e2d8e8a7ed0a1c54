"""Parents of a method's fits: which method's fit one starts from, on which datasets that parent is trained, and under which seed.

A training of a method is its whole chain: under every seed the parent is trained anew, unless the card says that all seeds share one.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from xrbench import cards
from xrbench.catalogue import Catalogue
from xrbench.errors import CardError
from xrbench.planning.plan import Fit
from xrbench.planning.protocol_settings import mentioned


def chain_of(card: cards.MethodCard, catalogue: Catalogue) -> tuple[cards.MethodCard, ...]:
    """List the methods that a method starts from, the nearest first.

    Raises:
        UnknownNameError: There is no method of that name.
        CardError: Methods start from one another in a circle, or from one that is not trained.
    """
    chain = [card]
    while name := chain[-1].parent:
        where = f"method {chain[-1].name}: parent"
        parent = catalogue.method(name, where=where)
        if parent.name in [method.name for method in chain]:
            names = " -> ".join([*(method.name for method in chain), parent.name])
            raise CardError(f"{where}: a circle: {names}")
        if parent.inference or parent.ensemble:
            raise CardError(f"{where}: {name!r} is not trained itself; name a method that is")
        chain.append(parent)
    return tuple(chain[1:])


def is_pretrained(card: cards.MethodCard, catalogue: Catalogue) -> bool:
    """Say whether an ancestor is trained on the ``pretrain`` datasets."""
    chain = (card, *chain_of(card, catalogue))
    return any(method.parent and method.parent_train == "pretrain" for method in chain)


def check_parent(card: cards.MethodCard, catalogue: Catalogue, model: cards.ModelCard) -> cards.ModelCard:
    """Check that a method's network can take over the weights of its parent.

    Args:
        card: A method with a parent.
        catalogue: Where the parent is.
        model: The model card of the fit.

    Returns:
        The parent's model card.

    Raises:
        CardError: The parent has another architecture, or other heads where all weights are taken.
        UnknownNameError: There is no model of that name.
    """
    where, parent = f"method {card.name}", catalogue.method(card.parent)
    of_parent = catalogue.model(card.parent_model, where=f"{where}: parent_model") if card.parent_model else model
    for field in ("network", "channels"):
        ours, theirs = getattr(model, field), getattr(of_parent, field)
        if ours != theirs:
            raise CardError(
                f"{where}: parent_model: {of_parent.name!r} is another architecture than {model.name!r}: {field} is {theirs!r} "
                f"there, {ours!r} is expected"
            )
    if card.parent_weights == "all":
        ours, theirs = ([(head.name, head.kind, head.outputs) for head in one.learned] for one in (card, parent))
        if ours != theirs:
            raise CardError(
                f"{where}: parent_weights = 'all': the heads of {parent.name!r} are {_names(parent)}, those of "
                f"{card.name!r} {_names(card)}; expected the same, or parent_weights = 'backbone'"
            )
    return of_parent


def setting_of_parent(
    card: cards.MethodCard, setting: cards.Setting, bases: Mapping[str, str], rule: cards.SplitRule, suite: str
) -> cards.Setting:
    """Return the setting under which the parent of a method's fit is trained: another seed, where one is shared.

    Raises:
        CardError: The suite has no datasets to pre-train on, or one parent is shared by seeds that hold out other patients.
    """
    where = f"method {card.name}"
    if card.parent_train == "pretrain" and not setting.pretrain:
        raise CardError(
            f"{where}: parent_train = 'pretrain': suite {suite} names no datasets to pre-train on; expected "
            "protocol.pretrain, or 'pretrain' in each setting"
        )
    if card.parent_seed is None:
        return setting
    learned = setting.train if card.parent_train == "train" else setting.pretrain
    shares = {bases[name] for name in learned} & {bases[name] for name in mentioned(setting)}
    if shares and rule.seed is None:
        raise CardError(
            f"{where}: parent_seed: one parent of all seeds would be trained on patients that some of them hold out of "
            f"{', '.join(sorted(shares))}; expected a split with a seed of its own in suite {suite} (split.seed)"
        )
    return msgspec.structs.replace(setting, seed=card.parent_seed)


def stage_of(card: cards.MethodCard, fit: Fit) -> str:
    """Name what a fit does: the card's word, or ``pruning``, ``pre-training``, ``fine-tuning`` or ``training``."""
    if card.stage:
        return card.stage
    if card.pruning:
        return "pruning"
    if fit.role == "pretrain":
        return "pre-training"
    return "fine-tuning" if card.parent else "training"


def _names(card: cards.MethodCard) -> str:
    return ", ".join(f"{head.name} ({head.kind})" for head in card.learned)
