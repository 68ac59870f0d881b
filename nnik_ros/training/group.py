"""The processes that train one network together, as `torchrun` starts them; without it there is one.

Every process draws the same batch from the same generator and works on its share; what they find is summed. Sums are small
(the gradients), so they go through main memory (gloo) on every device, also where processes share a GPU.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, NoReturn, TypeVar

import torch
import torch.distributed

from nnik_ros.errors import NnikError

_T = TypeVar("_T")


class Group(NamedTuple):
    """rank: of this process among `size`, the one of rank 0 alone prints and writes; device: where this one computes."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self) -> slice:
        """The robots of a batch that this process works on."""
        return slice(self.rank, None, self.size)

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, the same in each, where `values` (n,) was."""
        if self.size == 1:
            return values
        total = values.detach().to("cpu", copy=True)
        torch.distributed.all_reduce(total)
        return total.to(values.device)

    def of_first(self, make: Callable[[], _T]) -> _T:
        """What `make` returns in the first process, in every process; an NnikError of it is raised in every process."""
        if self.size == 1:
            return make()
        made: list[Any] = [None, None]
        if self.leads:
            try:
                made[0] = make()
            except NnikError as error:
                made[1] = str(error)
        torch.distributed.broadcast_object_list(made, src=0)
        if made[1] is not None:
            raise NnikError(made[1])
        result: _T = made[0]
        return result

    def default_device(self) -> AbstractContextManager[Any]:
        """New tensors of the body are on this process's device."""
        return nullcontext() if self.device.type == "cpu" else torch.device(self.device)


ALONE = Group(0, 1, torch.device("cpu"))


@contextmanager
def joined() -> Iterator[Group]:
    """The group that `torchrun` started this process in. Computes on a GPU when there is one."""
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE._replace(device=device)
        return
    torch.distributed.init_process_group("gloo")
    try:
        yield Group(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)
    finally:
        torch.distributed.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End the process with an exit code. One of several ends at once: threads of torch's communication that outlive the group
    now and then abort an interpreter that is being taken down, and a training that went well would count as failed."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
