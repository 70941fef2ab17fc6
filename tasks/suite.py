"""A suite: tasks in a fixed order, found by id, with help for who mistypes one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from tasks.model import Task, TaskError, UnknownTaskError


class Suite:
    """Tasks in order. Ids are unique.

    Args:
        name: what the user calls it, or the path it was read from.
        tasks: the tasks, in order.

    Raises:
        TaskError: no task at all, or two with the same id.
    """

    def __init__(self, name: str, tasks: Iterable[Task]) -> None:
        self.name = name
        self._tasks: dict[str, Task] = {}
        for task in tasks:
            if task.id in self._tasks:
                raise TaskError(
                    f"{name}: two tasks have the id {task.id!r}; ids must differ "
                    f"({self._tasks[task.id].public().source}, {task.public().source})"
                )
            self._tasks[task.id] = task
        if not self._tasks:
            raise TaskError(f"{name}: no task in it")

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._tasks

    @property
    def ids(self) -> tuple[str, ...]:
        """The tasks' ids, in order."""
        return tuple(self._tasks)

    @property
    def hidden_refused(self) -> str:
        """Why protocol `hidden` makes no sense for the suite as a whole, or empty.

        That is where most of its tasks show all their tests. A single one does no harm to a
        suite's figure (HumanEval/34 has one official test, the example in its docstring).
        """
        refused = [task for task in self if task.hidden_refused]
        if 2 * len(refused) <= len(self):
            return ""
        return f"{self.name}: in {len(refused)} of {len(self)} tasks {refused[0].hidden_refused}"

    def get(self, task_id: str) -> Task:
        """The task of that id; its last part is enough where it is unique (`23`).

        Raises:
            UnknownTaskError: no such task; the message names close ones.
        """
        if task_id in self._tasks:
            return self._tasks[task_id]
        ending = [known for known in self._tasks if known.rsplit("/", 1)[-1] == task_id]
        if len(ending) == 1:
            return self._tasks[ending[0]]
        raise UnknownTaskError(self._unknown(task_id))

    def _unknown(self, task_id: str) -> str:
        count = len(self._tasks)
        ids = list(self._tasks)
        close = difflib.get_close_matches(task_id, ids, n=3, cutoff=0.5)
        if close:
            hint = f"did you mean {', '.join(close)}?"
        elif count <= 8:
            hint = f"it has {', '.join(ids)}"
        else:
            hint = f"they run from {ids[0]} to {ids[-1]}"
        tasks = "1 task" if count == 1 else f"{count} tasks"
        return f"{self.name}: no task {task_id!r} among its {tasks}; {hint}"

    def __repr__(self) -> str:
        return f"Suite({self.name!r}, {len(self)} tasks)"
