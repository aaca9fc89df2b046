# The part of pyroutingkit that is used here. The package ships no types of its own.

import numpy as np
from numpy.typing import NDArray

INF_WEIGHT: int

class CCHTopology:
    def __init__(self) -> None: ...
    def build(
        self,
        tail: NDArray[np.uint32],
        head: NDArray[np.uint32],
        latitude: NDArray[np.float32],
        longitude: NDArray[np.float32],
        node_count: int,
    ) -> None: ...

class CCHMetric:
    def __init__(self, topology: CCHTopology) -> None: ...
    def customize(self, weights: NDArray[np.uint32], thread_count: int = 0) -> None: ...
    def update_weights(
        self, arc_ids: NDArray[np.uint32], new_weights: NDArray[np.uint32]
    ) -> None: ...
    def distances_many_to_many(
        self, sources: NDArray[np.uint32], targets: NDArray[np.uint32]
    ) -> NDArray[np.uint32]: ...
    def query(self, source: int, target: int) -> tuple[int, list[int], list[int]]: ...
