"""The cycle that takes a Pod through the plugins to a node: PreFilter, Filter, PostFilter, PreScore, Score.

Stands for framework/runtime and schedule_one.go's algorithm. A `Framework` is one profile: plugins in order, with
weights. It decides and changes nothing; queueing, binding and events are the Scheduler's. Left out: extenders
and Permit.

Answers of local plugins are kept until a node changes (board.py), so the replicas of one ReplicaSet cost one node
each, not all of them.
"""

from collections import Counter
from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain, compress

from k8s_core.scheduler.board import Board, Places
from k8s_core.scheduler.cache import Cache, NodeInfo, PodInfo
from k8s_core.scheduler.plugin import Code, Event, Handle, Plugin, State, Status, has, unresolvable

MIN_FEASIBLE_NODES = 100  # minFeasibleNodesToFind
MIN_FEASIBLE_PERCENTAGE = 5  # minFeasibleNodesPercentageToFind
MAX_BOARDS = 128  # kinds of Pods about which answers are kept


NOTHING_SAID = Status(Code.UNRESOLVABLE)


@dataclass(slots=True)
class Diagnosis:
    """Why no node was found: a Status per node looked at, one for all others, the plugins to blame."""

    total: int
    nodes: dict[str, Status] = field(default_factory=dict)
    absent: Status = NOTHING_SAID
    plugins: set[str] = field(default_factory=set)
    pre_filter_message: str = ""
    post_filter_message: str = ""

    def message(self) -> str:
        """FitError.Error: 0/3 nodes are available: 1 Insufficient cpu, 2 ... preemption: ..."""
        text = f"0/{self.total} nodes are available:"
        if self.pre_filter_message:
            text += f" {self.pre_filter_message}."
        else:
            counts = Counter(reason for status in self.nodes.values() for reason in status.reasons)
            for reason in self.absent.reasons if len(self.nodes) < self.total else ():
                counts[reason] += self.total - len(self.nodes)
            if counts:
                text += f" {', '.join(sorted(f'{number} {reason}' for reason, number in counts.items()))}."
        return f"{text} {self.post_filter_message}" if self.post_filter_message else text

    def potential(self, cache: Cache) -> list[NodeInfo]:
        """Nodes that might pass if Pods left them."""
        return [node for node in cache.nodes if self.nodes.get(node.name, self.absent).code == Code.UNSCHEDULABLE]


class FitError(Exception):
    """No node fits. `nominate` is the node preemption makes room on, "" to clear, None to leave as it is."""

    def __init__(self, diagnosis: Diagnosis, nominate: str | None = None):
        super().__init__(diagnosis.message())
        self.diagnosis, self.nominate = diagnosis, nominate


class NoNodesError(Exception):
    def __init__(self) -> None:
        super().__init__("no nodes available to schedule pods")


@dataclass(slots=True)
class ScoreTable:
    """Scores of the feasible nodes, worked out once for all nodes of a kind, spread out when somebody asks."""

    of: Sequence[Hashable]
    """The kind of each node: those of one kind get equal scores."""
    kinds: list[Hashable]
    by_kind: dict[str, tuple[Sequence[int], Sequence[int], int]]
    """Per plugin the raw and the normalized scores, kind by kind, and the weight."""
    sums: list[int]

    @property
    def columns(self) -> dict[str, tuple[list[int], list[int], int]]:
        """Per plugin the raw and the normalized scores, node by node, and the weight."""
        return {
            name: (self._spread(raw), self._spread(normalized), weight)
            for name, (raw, normalized, weight) in self.by_kind.items()
        }

    @property
    def total(self) -> list[int]:
        return self._spread(self.sums)

    def _spread(self, scores: Sequence[int]) -> list[int]:
        score_of = dict(zip(self.kinds, scores, strict=True))
        return [score_of[kind] for kind in self.of]

    def best(self, nodes: Sequence[NodeInfo]) -> list[NodeInfo]:
        """The nodes with the highest sum."""
        highest = max(self.sums)
        wanted = {kind for kind, score in zip(self.kinds, self.sums, strict=True) if score == highest}
        return list(compress(nodes, map(wanted.__contains__, self.of)))


@dataclass(slots=True)
class Result:
    """Where the Pod goes, and how that came about."""

    node: str
    feasible: list[NodeInfo]
    filtered: dict[str, Status]
    table: ScoreTable | None
    ties: list[NodeInfo]


class Framework:
    """One profile: its plugins in order, each with its weight, and the algorithm that asks them."""

    def __init__(
        self,
        handle: Handle,
        plugins: Sequence[tuple[Plugin, int]],
        *,
        name: str = "default-scheduler",
        percentage_of_nodes_to_score: int = 0,
        without: Set[tuple[str, str]] = frozenset(),
    ):
        """`without` are (extension point, plugin) that do not run: a profile may take a plugin off single points."""

        def at(point: str, *methods: str) -> list[Plugin]:
            return [plugin for plugin, _ in plugins if has(plugin, *methods) and (point, plugin.name) not in without]

        self.handle, self.name = handle, name
        self.percentage_of_nodes_to_score = percentage_of_nodes_to_score
        self.plugins = {plugin.name: plugin for plugin, _ in plugins}
        self.weights = {plugin.name: weight or 1 for plugin, weight in plugins}
        self._pre_enqueue = at("preEnqueue", "pre_enqueue")
        self._pre_filter = at("preFilter", "pre_filter")
        self._filter = at("filter", "filter")
        self._post_filter = at("postFilter", "post_filter")
        self._score = at("score", "score", "scores")
        self._pre_bind = at("preBind", "pre_bind")
        self._even = all(plugin.even or not has(plugin, "normalize") for plugin in self._score)
        self._next_start = 0
        self._boards: dict[bytes, Board] = {}

    # --- queueing -------------------------------------------------------------------------------------------
    def pre_enqueue(self, pod: PodInfo) -> Status | None:
        for plugin in self._pre_enqueue:
            status = plugin.pre_enqueue(pod)
            if status:
                return Status(status.code, status.reasons, plugin.name)
        return None

    def helps(self, event: Event, pod: PodInfo, blamed: set[str]) -> bool:
        """Whether the event may let `pod` past one of the plugins that turned it away."""
        for name in blamed:
            plugin = self.plugins.get(name)
            if plugin is None or (event.kind in plugin.events and plugin.helps(event, pod)):
                return True
        return not blamed

    def pre_bind(self, pod: PodInfo, node: str) -> set[str]:
        """The plugins that are not ready for the Pod on this node yet."""
        return {plugin.name for plugin in self._pre_bind if not plugin.pre_bind(pod, node)}

    # --- the scheduling cycle -------------------------------------------------------------------------------
    def schedule(self, pod: PodInfo) -> Result:
        """Find the best node for `pod`. Raises FitError after PostFilter was tried, or NoNodesError."""
        if not self.handle.cache.nodes:
            raise NoNodesError
        state: State = {}
        places, diagnosis = self._find_feasible(state, pod)
        if not places.count:
            nominate, diagnosis.post_filter_message = self._run_post_filter(state, pod, diagnosis)
            raise FitError(diagnosis, nominate)
        feasible = places.take(self.handle.cache.nodes)
        if len(feasible) == 1:
            return Result(feasible[0].name, feasible, diagnosis.nodes, None, [])
        state["places"] = places
        table = self._run_score(state, pod, feasible, places)
        ties = table.best(feasible)
        if len(ties) == 1:
            return Result(ties[0].name, feasible, diagnosis.nodes, table, [])
        random = self.handle.random_index
        if random:
            node = ties[random(len(ties))]
        elif len(feasible) > MIN_FEASIBLE_NODES:  # so many are found in parallel upstream, in no certain order
            node = ties[0]
        else:
            node = feasible[top_of_heap(table.total)]
        return Result(node.name, feasible, diagnosis.nodes, table, ties)

    def _find_feasible(self, state: State, pod: PodInfo) -> tuple[Places, Diagnosis]:
        cache = self.handle.cache
        diagnosis = Diagnosis(total=len(cache.nodes))
        names, refusal = self.run_pre_filter(state, pod, cache.nodes)
        if refusal:
            diagnosis.absent = refusal
            diagnosis.pre_filter_message = refusal.message
            diagnosis.plugins.add(refusal.plugin)
            return Places(), diagnosis
        nominated = (pod.pod.get("status") or {}).get("nominatedNodeName", "")
        if nominated in cache.places:
            found = self._run_filters(state, pod, Places(listed=[cache.places[nominated]]), diagnosis)
            if found.count:
                return found, diagnosis
        if names is not None:
            allowed, restricting = names
            possible = Places(listed=[cache.places[name] for name in sorted(allowed) if name in cache.places])
            diagnosis.absent = unresolvable(f"node(s) didn't satisfy plugin(s) [{' '.join(restricting)}]")
            diagnosis.plugins.update(restricting)
        else:
            possible = Places(self._next_start % len(cache.nodes), len(cache.nodes))
        found = self._run_filters(state, pod, possible, diagnosis)
        self._next_start = (self._next_start + found.count + len(diagnosis.nodes)) % len(cache.nodes)
        return found, diagnosis

    def run_pre_filter(
        self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]
    ) -> tuple[tuple[frozenset[str], list[str]] | None, Status | None]:
        """Run PreFilter; `state["skip"]` then names the plugins whose Filter is spared.

        Returns (names of the only possible nodes with the plugins that said so, or None for all; a refusal).
        """
        skip: set[str] = set()
        state["skip"] = skip
        names: frozenset[str] | None = None
        restricting: list[str] = []
        refusal: Status | None = None
        for plugin in self._pre_filter:
            said = plugin.pre_filter(state, pod, nodes)
            if said is None:
                continue
            if isinstance(said, frozenset):
                names = said if names is None else names & said
                restricting.append(plugin.name)
                if not names:
                    reason = f"node(s) didn't satisfy plugin {plugin.name}"
                    if len(restricting) > 1:
                        reason = f"node(s) didn't satisfy plugin(s) [{' '.join(restricting)}] simultaneously"
                    return None, Status(Code.UNRESOLVABLE, (reason,), plugin.name)
            elif said.code == Code.SKIP:
                skip.add(plugin.name)
            else:
                refusal = Status(said.code, said.reasons, plugin.name)
                if said.code == Code.UNRESOLVABLE:
                    return None, refusal
        state["filters"] = self._active_filters(skip)
        return ((names, sorted(restricting)) if names is not None else None), refusal

    def _active_filters(self, skip: set[str]) -> tuple[list[Plugin], list[Plugin]]:
        active = [plugin for plugin in self._filter if plugin.name not in skip]
        return [p for p in active if p.local], [p for p in active if not p.local]

    def _board(self, pod: PodInfo) -> Board:
        """What is known of all nodes for Pods of this signature."""
        board = self._boards.pop(pod.signature, None)
        if board is None:
            if len(self._boards) >= MAX_BOARDS:
                del self._boards[next(iter(self._boards))]
            board = Board(self.handle.cache)
        self._boards[pod.signature] = board  # the one used last is dropped last
        return board

    def _nodes_to_find(self, total: int) -> int:
        """numFeasibleNodesToFind: all of a small cluster, a shrinking share of a large one."""
        if not self._score:
            return 1
        if total < MIN_FEASIBLE_NODES:
            return total
        percentage = self.percentage_of_nodes_to_score
        if not percentage:
            percentage = max(50 - total // 125, MIN_FEASIBLE_PERCENTAGE)
        return max(total * percentage // 100, MIN_FEASIBLE_NODES)

    def _run_filters(self, state: State, pod: PodInfo, places: Places, diagnosis: Diagnosis) -> Places:
        wanted = self._nodes_to_find(places.count)
        local, wide = state["filters"]
        board, nodes, nominated = self._board(pod), self.handle.cache.nodes, self.handle.nominated

        def ask(node: NodeInfo) -> Status | None:
            return _first_refusal(local, state, pod, node)

        if not nominated and not wide:  # the usual case of a known kind of Pod, at the speed of a list
            first = Places(places.start, wanted) if places.listed is None else Places(listed=places.listed[:wanted])
            if not any(board.refused(first, ask)):
                return first
        found: list[int] = []
        for index in range(places.count):
            place = places.place(index, len(nodes))
            node = nodes[place]
            if nominated and node.name in nominated:
                status = self.filter_with_nominated(state, pod, node)
            else:
                status = board.refused(Places(place, 1), ask)[0]
                if status is None and wide:
                    status = _first_refusal(wide, state, pod, node)
            if status is None:
                found.append(place)
                if len(found) >= wanted:
                    break
            else:
                diagnosis.nodes[node.name] = status
                diagnosis.plugins.add(status.plugin)
        return Places(listed=found)

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Run every filter on one node, without memory."""
        local, wide = state["filters"]
        return _first_refusal(local, state, pod, node) or _first_refusal(wide, state, pod, node)

    def filter_with_nominated(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        """As if the Pods of equal or higher priority nominated to the node ran there; then without them."""
        waiting = [
            other
            for other in self.handle.nominated.get(node.name, {}).values()
            if other.priority >= pod.priority and other.uid != pod.uid and other.uid not in node.pods
        ]
        if waiting:
            twin = node.copy()
            for other in waiting:
                twin.add(other)
            status = self.filter(self.imagine(pod, twin), pod, twin)
            if status:
                return status
        return self.filter(state, pod, node)

    def imagine(self, pod: PodInfo, twin: NodeInfo) -> State:
        """The state of a cycle in which `twin` stands in for the node of its name."""
        state: State = {}
        nodes = [twin if node.name == twin.name else node for node in self.handle.cache.nodes]
        self.run_pre_filter(state, pod, nodes)
        state.setdefault("filters", self._active_filters(set()))
        return state

    def _run_post_filter(self, state: State, pod: PodInfo, diagnosis: Diagnosis) -> tuple[str | None, str]:
        nominate: str | None = None
        reasons: list[str] = []
        for plugin in self._post_filter:
            node, status = plugin.post_filter(self, state, pod, diagnosis)
            if status is None and node is not None:
                return node, ""
            if node is not None:
                nominate = node
            if status is not None:
                reasons.extend(status.reasons)
        return nominate, ", ".join(reasons)

    def _run_score(self, state: State, pod: PodInfo, nodes: list[NodeInfo], places: Places) -> ScoreTable:
        active = [plugin for plugin in self._score if plugin.pre_score(state, pod, nodes)]
        local = [plugin for plugin in active if plugin.local]
        facts = {plugin.name: plugin.facts(state) for plugin in active}
        numbers, rows = self._board(pod).scored(
            places, lambda node: [plugin.score(state, pod, node) for plugin in local], [*chain(*facts.values())]
        )
        said = {p.name: p.scores(state, pod, nodes) for p in active if not p.local and not facts[p.name]}
        more = [scores for scores in said.values() if scores.count(scores[0]) < len(scores)]
        if not self._even:
            more.append(list(range(len(nodes))))
        of: Sequence[Hashable] = list(zip(numbers, *more, strict=True)) if more else numbers
        last = dict(zip(of, range(len(nodes)), strict=True))
        some = [nodes[index] for index in last.values()]
        locally = zip(*(rows[numbers[index]][0] for index in last.values()), strict=True)
        by_kind: dict[str, tuple[Sequence[int], Sequence[int], int]] = {}
        sums = [0] * len(some)
        for plugin in active:
            if plugin.local:
                scores = list(next(locally))
            elif plugin.name in said:
                scores = [said[plugin.name][index] for index in last.values()]
            else:
                scores = plugin.scores(state, pod, some)
            normalized, weight = plugin.normalize(state, scores, some), self.weights[plugin.name]
            by_kind[plugin.name] = scores, normalized, weight
            sums = [sum + weight * score for sum, score in zip(sums, normalized, strict=True)]
        return ScoreTable(of, list(last), by_kind, sums)


def top_of_heap(scores: Sequence[int]) -> int:
    """The index of what Go's container/heap has at its top after Init: a highest score, not always the first."""
    heap = list(range(len(scores)))
    for start in range(len(heap) // 2 - 1, -1, -1):
        parent = start
        while (child := 2 * parent + 1) < len(heap):
            if child + 1 < len(heap) and scores[heap[child + 1]] > scores[heap[child]]:
                child += 1
            if scores[heap[child]] <= scores[heap[parent]]:
                break
            heap[parent], heap[child] = heap[child], heap[parent]
            parent = child
    return heap[0]


def _first_refusal(plugins: Sequence[Plugin], state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
    for plugin in plugins:
        status = plugin.filter(state, pod, node)
        if status is not None:
            return Status(status.code, status.reasons, plugin.name)
    return None
