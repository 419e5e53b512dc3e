"""One step of a training: forward, loss, backward, clipping, optimizer and moving average.

A small network leaves a GPU idle: launching some 340 kernels takes the host longer than the GPU takes to run them. So
the step of a full batch is recorded as one CUDA graph, which a single call launches. The inputs are copied into the
tensors that the graph reads; the learning rate is such a tensor too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from echoseg.training.batches import Batch
from echoseg.training.config import Config
from echoseg.training.custom import Custom
from echoseg.training.devices import autocast
from echoseg.training.distributed import Ranks
from echoseg.training.logs import logger
from echoseg.training.optimization import MovingAverage
from echoseg.training.progress_bar import running_dice

SEARCHED_STEPS = 4000
"""Steps of a training from which on cuDNN's search for the fastest algorithms, which takes seconds, can pay."""
_STEPS_BEFORE_RECORDING = 3  # cuDNN, cuBLAS and the optimizer set themselves up


class Learned(NamedTuple):
    """What a step leaves; overwritten by the next step.

    Attributes:
        means: (2,) float32, the loss, and the Dice of the pixels of masks; 0 in the landmark approach.
        logits: (B, C, H, W), without gradients.
    """

    means: Tensor
    logits: Tensor


class Recorder(Protocol):
    """Records what a function launches on a device, and launches it again."""

    def prepared(self) -> contextlib.AbstractContextManager[None]:
        """The context of the steps before the recording."""

    def record(self, function: Callable[[], Learned]) -> Learned:
        """Record a function without running it. Returns the tensors that each replay fills.

        Raises:
            RuntimeError: It cannot be recorded.
        """

    def replay(self) -> None:
        """Run what was recorded."""


class CudaRecorder:
    """Records a CUDA graph.

    Args:
        device: A CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        torch.cuda.reset_peak_memory_stats(device)
        self._graph = torch.cuda.CUDAGraph()

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)

    def record(self, function: Callable[[], Learned]) -> Learned:
        memory = torch.cuda.mem_get_info(self._device)[0] + torch.cuda.memory_reserved(self._device)
        lasting, peak = torch.cuda.memory_allocated(self._device), torch.cuda.max_memory_allocated(self._device)
        if peak + (peak - lasting) > memory:  # a graph keeps its memory; validation and other batches need theirs
            raise RuntimeError("the GPU has too little memory for it")
        random, stream = torch.cuda.get_rng_state(self._device), torch.cuda.current_stream(self._device)
        pool = torch.cuda.graph_pool_handle()
        try:
            # Another thread may copy a checkpoint meanwhile: hence thread_local.
            with (
                torch.cuda.device(self._device),
                torch.cuda.graph(self._graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"),
            ):
                return function()
        except RuntimeError:
            self._clean_up(stream, random, pool)
            raise

    def _clean_up(self, stream: torch.cuda.Stream, random: Tensor, pool: Any) -> None:
        """After a failure, undo what torch leaves of it: its stream, its memory pool, and a generator that records."""
        torch.cuda.set_stream(stream)
        index = torch.cuda.current_device() if self._device.index is None else self._device.index
        with contextlib.suppress(Exception):  # no public function
            torch._C._cuda_endAllocateToPool(index, pool)
        fresh = torch.Generator(self._device)
        fresh.set_state(random)
        torch.cuda.default_generators[index].graphsafe_set_state(fresh.graphsafe_get_state())

    def replay(self) -> None:
        self._graph.replay()


def make_recorder(config: Config, device: torch.device, ranks: Ranks, custom: Custom) -> Recorder | None:
    """Make the recorder of a training; None where its step cannot be recorded, or where that is not known.

    A user's network or loss may read values, or choose by them; several ranks and compiled networks record otherwise.
    """
    recorded = config.cuda_graph and device.type == "cuda" and ranks.count == 1 and not config.compile
    return CudaRecorder(device) if recorded and custom.network is None and custom.loss is None else None


class TrainStep:
    """Learns from one batch after the other.

    Args:
        network: What computes the logits: the model itself, compiled, or shared by several processes.
        model: The model, on its device.
        optimizer: Of the model's parameters. For a recorder, one that ``make_optimizer`` made for a CUDA device.
        average: The moving average of the model.
        loss_of: The result of ``make_loss``.
        config: Batch size, precision, clipping and approach.
        recorder: Records the step of a full batch; None runs every step as it is. The numbers are the same.
        search: Whether cuDNN measures which algorithms are the fastest for a full batch. This takes seconds.
    """

    def __init__(
        self,
        network: nn.Module,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: MovingAverage | None,
        loss_of: Callable[[Tensor, Batch], Tensor],
        config: Config,
        *,
        recorder: Recorder | None = None,
        search: bool = False,
    ) -> None:
        self._network, self._model, self._optimizer, self._average = network, model, optimizer, average
        self._loss_of, self._config, self._search = loss_of, config, search
        self._recorder = recorder
        self._prepared = 0
        self._inputs: Batch | None = None  # what the recorded step reads
        self._results: Learned | None = None  # what it fills

    def run(self, batch: Batch, rate: float) -> Learned:
        """Learn from a batch.

        Args:
            batch: Frames and targets.
            rate: Learning rate.
        """
        for group in self._optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        is_full = len(batch.frames) == self._config.batch_size
        if self._recorder is None or not is_full:
            return self._learn(batch, search=self._search and is_full)
        if self._prepared < _STEPS_BEFORE_RECORDING:
            self._prepared += 1
            with self._recorder.prepared():
                return self._learn(batch, search=self._search)
        if self._inputs is None and not self._record(batch, self._recorder):
            return self._learn(batch, search=self._search)
        assert self._inputs is not None
        assert self._results is not None
        self._inputs.frames.copy_(batch.frames)
        self._inputs.targets.copy_(batch.targets)
        if batch.landmarks is not None and self._inputs.landmarks is not None:
            self._inputs.landmarks.copy_(batch.landmarks)
        self._recorder.replay()
        return self._results

    def _record(self, batch: Batch, recorder: Recorder) -> bool:
        """Whether the step could be recorded."""
        inputs = batch._replace(
            frames=torch.empty_like(batch.frames),
            targets=torch.empty_like(batch.targets),
            landmarks=None if batch.landmarks is None else torch.empty_like(batch.landmarks),
        )
        try:
            self._results = recorder.record(lambda: self._learn(inputs, search=self._search))
        except RuntimeError as error:
            self._recorder = None
            reason = str(error).partition("\n")[0]
            logger.warning("training goes on without a CUDA graph, more slowly if the network is small (%s)", reason)
            return False
        self._inputs = inputs
        return True

    def _learn(self, batch: Batch, *, search: bool) -> Learned:
        config = self._config
        with _cudnn_search(search):
            with autocast(batch.frames.device, config.precision):
                logits = self._network(batch.frames)
            loss = self._loss_of(logits.float(), batch)
            self._optimizer.zero_grad(set_to_none=True)
            (loss * batch.share).backward()
            if config.clip is not None:
                nn.utils.clip_grad_norm_(self._model.parameters(), config.clip)
            self._optimizer.step()
        if self._average is not None:
            self._average.update_parameters(self._model)
        score = running_dice(logits, batch.targets) if config.approach == "mask" else torch.zeros_like(loss)
        return Learned(torch.stack([loss.detach(), score]), logits.detach())


@contextlib.contextmanager
def _cudnn_search(wanted: bool) -> Iterator[None]:
    """Let cuDNN measure its algorithms inside, or take the ones that it expects to be the fastest."""
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, wanted
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
