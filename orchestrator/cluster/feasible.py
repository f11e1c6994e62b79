"""Could any node ever hold this? Ray would wait for ever, silently; here the lacking resource is named in time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from foundation.errors import InfeasibleError
from foundation.events import Event
from orchestrator.cluster.events import PoolWaiting
from orchestrator.cluster.session import Session

Amounts = Mapping[str, float]


def check_feasible(session: Session, demands: Mapping[str, Amounts]) -> Iterator[Event]:
    """Returns when every demand fits the total of some node.

    A private cluster never grows, so there the answer is immediate; elsewhere nodes get `infeasible_after_s` to join.
    Raises `InfeasibleError` that names who asks, the resource, the amount, and what each node has in all.
    """
    deadline = time.monotonic() + (session.config.infeasible_after_s if session.config.address else 0.0)
    started = time.monotonic()
    shown = 0.0
    while True:
        session.pulse()
        nodes = session.nodes()
        lacking = {who: demand for who, demand in demands.items() if not any(_holds(node, demand) for node in nodes)}
        if not lacking:
            return
        now = time.monotonic()
        if now >= deadline:
            raise _infeasible(lacking, nodes)
        if now - shown > 5.0:
            shown = now
            for who, demand in lacking.items():
                yield PoolWaiting(who, now - started, "a node with " + _text(demand))
        time.sleep(0.5)


def _holds(node: Mapping[str, Any], demand: Amounts) -> bool:
    return all(node["resources"].get(name, 0.0) + 1e-9 >= amount for name, amount in demand.items())


def _infeasible(lacking: Mapping[str, Amounts], nodes: list[dict[str, Any]]) -> InfeasibleError:
    who, demand = next(iter(lacking.items()))
    best = {name: max((node["resources"].get(name, 0.0) for node in nodes), default=0.0) for name in demand}
    short = [name for name, amount in demand.items() if best[name] + 1e-9 < amount] or list(demand)
    totals = "; ".join(f"{node['name']}: {_text({n: node['resources'].get(n, 0.0) for n in demand})}" for node in nodes)
    others = f" (also: {', '.join(list(lacking)[1:])})" if len(lacking) > 1 else ""
    return InfeasibleError(
        f"No node can ever hold what {who} asks for{others}.",
        expected=f"a node with {_text(demand)}",
        found=f"not enough {', '.join(short)}; totals by node: {totals or 'no node'}",
        where=f"{who}, pool",
        next_step="lower the demand of the pool, or start a node that has it",
    )


def _text(amounts: Amounts) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in amounts.items())
