"""Which features a training uses in its phase: made where they pay, shared with other trainings of the
machine.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from trainables.datasets.dataset import Dataset
from trainables.devices.device import autocast, deterministic
from trainables.devices.memory import room_for_images
from trainables.feature_cache.conditions import is_frozen_at_input, why_not_at_all, why_not_of_training
from trainables.feature_cache.feature_file import Features
from trainables.feature_cache.feature_store import FeatureStore
from trainables.feature_cache.frozen_prefix import FrozenPrefix, PrefixCost
from trainables.feature_cache.gain import PhaseFrozen, is_shared
from trainables.inference.cached_logits import logits_of_features
from trainables.inference.logits import evaluation_batch_size, num_views, views_of_batch
from trainables.models.network import Network
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.feature_keys import of_prefix, of_training_images, of_validation_images
from trainables.training.training_images import TrainingImages
from trainables.transforms.fixed_views import FixedViews
from trainables.transforms.image_stream import DeviceImages
from trainables.transforms.preprocessing import Preprocessing

# N images, B batch, C channels, L side before the crop, S side of what the model sees

_ANEW = "the frozen layers are computed anew each epoch"


@dataclass(frozen=True, kw_only=True)
class FeatureUse:
    """What a training does about the frozen layers of a phase."""

    is_of_training: bool
    is_of_validation: bool
    sentence: str
    """In words, for a person."""


@dataclass(kw_only=True, eq=False)
class _Stores:
    """The features of a phase."""

    prefix: FrozenPrefix
    training: FeatureStore | None
    validation: FeatureStore | None
    why_not: str | None
    """Where one of them is None."""

    def close(self) -> None:
        for store in (self.training, self.validation):
            if store is not None:
                store.close()


class PhaseFeatures:
    """The features of the phase that a training is in; none where they do not pay."""

    def __init__(
        self,
        *,
        recipe: Recipe,
        dataset: Dataset,
        network: Network,
        images: TrainingImages,
        validation: DeviceImages,
        preprocessing: Preprocessing,
        views: FixedViews | None,
        device: torch.device,
        is_wanted: bool | None,
    ) -> None:
        """`is_wanted` says that they are used wherever they can be, or never; None, where they pay."""
        self._recipe = recipe
        self._dataset = dataset
        self._network = network
        self._images = images
        self._validation = validation
        self._preprocessing = preprocessing
        self._views = views
        self._device = device
        self._is_wanted = is_wanted
        self._phase_index: int | None = None
        self._stores: _Stores | None = None
        self._making: Iterator[None] | None = None
        self._asked: int | None = None
        """The epoch whose features are there, or are being made."""
        self._sentence: str | None = None

    def prepare(self, phase_index: int, epoch: int, validated: nn.Module, seconds: float) -> bool:
        """Makes what an epoch of a phase needs, for about `seconds`; False where it is not all there by then.

        `epoch` counts from 0 over all phases; `validated` is the module that is asked for the validation
        split. Puts the network into the phase, and its frozen layers into evaluation mode.
        """
        if self._is_wanted is False:
            return True
        begun = time.perf_counter()
        if phase_index != self._phase_index:
            self.forget()
            self._phase_index = phase_index
            self._stores = self._decided(self._recipe.phases[phase_index], phase_index, validated)
        if self._stores is None:
            return True
        if self._asked != epoch:
            self._making, self._asked = self._made(self._stores, epoch, validated), epoch
        if self._making is None:
            return True
        try:
            for _ in self._making:
                if time.perf_counter() - begun >= seconds:
                    return False
        except OSError as error:
            self._give_up(f"{error}")
        self._making = None
        return True

    def forget(self) -> None:
        """Decides anew at the next epoch: weights or phase are others now."""
        if self._stores is not None:
            self._stores.close()
        self._phase_index, self._stores, self._making, self._asked, self._sentence = (
            None,
            None,
            None,
            None,
            None,
        )

    def of_training(self, epoch: int) -> Features | None:
        """The features that an epoch trains on, by position among the kept images; None where it trains on
        images.
        """
        store = None if self._stores is None else self._stores.training
        return None if store is None else store.view(self._view(epoch))

    def suffix(self) -> nn.Module | None:
        """What features go through in training; it shares its layers with the network."""
        if self._stores is None or self._stores.training is None:
            return None
        return self._stores.prefix.suffix(self._network.module)

    def validation_logits(self, validated: nn.Module) -> Tensor | None:
        """Logits (N, K) of the validation split by its features; None where there are none."""
        store = None if self._stores is None else self._stores.validation
        if self._stores is None or store is None:
            return None
        views = [store.view(number) for number in range(num_views(self._recipe.evaluation))]
        whole = [view for view in views if view is not None]
        if len(whole) < len(views):
            return None
        return logits_of_features(
            self._stores.prefix.suffix(validated),
            whole,
            self._recipe.evaluation,
            batch_size=evaluation_batch_size(self._preprocessing, self._device),
            seed=self._recipe.seed,
        )

    @property
    def use(self) -> FeatureUse | None:
        """What is done in this phase; None before its first epoch, and where nothing is frozen."""
        if self._sentence is not None:
            return FeatureUse(is_of_training=False, is_of_validation=False, sentence=self._sentence)
        if self._stores is None:
            return None
        training, validation = self._stores.training, self._stores.validation
        return FeatureUse(
            is_of_training=training is not None,
            is_of_validation=validation is not None,
            sentence=_sentence(self._stores),
        )

    def _decided(self, phase: Phase, phase_index: int, validated: nn.Module) -> _Stores | None:
        if not is_frozen_at_input(phase):
            return None
        if (reason := why_not_at_all(self._recipe)) is not None:
            self._sentence = f"{_ANEW}: {reason}"
            return None
        self._network.prepare(phase)
        self._network.train(self._recipe.model.batch_norm)
        prefix = FrozenPrefix.of(self._network)
        if prefix is None:
            self._sentence = f"{_ANEW}: something before them trains, or drops out"
            return None
        return self._where_it_pays(prefix, phase, phase_index, validated)

    def _where_it_pays(
        self, prefix: FrozenPrefix, phase: Phase, phase_index: int, validated: nn.Module
    ) -> _Stores | None:
        preprocessing, recipe = self._preprocessing, self._recipe
        side = preprocessing.image_size
        slope = torch.linspace(0, 1, preprocessing.channels * side * side, device=self._device)
        cost = PrefixCost.of(
            prefix, self._network.module, preprocessing.normalised(slope.view(1, -1, side, side))
        )
        if cost is None:
            self._sentence = f"{_ANEW}: the network cannot be cut there"
            return None
        reason = why_not_of_training(recipe)
        if self._is_wanted is None:
            frozen = self._frozen(cost, phase, phase_index)
            reason = reason or frozen.why_no_use()
            no_gain = frozen.why_no_gain(
                has_training=reason is None,
                is_resident=self._is_resident(frozen.num_views * frozen.num_images * frozen.num_bytes),
            )
            if no_gain is not None:
                self._sentence = f"{_ANEW}: {no_gain}"
                return None
        weights = prefix.digest(self._network.module)
        key = of_prefix(recipe, prefix.name, weights, cost.layout, preprocessing, self._device)
        store = partial(
            FeatureStore,
            name=f"{recipe.model.architecture.replace('/', '-')}-{prefix.name}",
            layout=cost.layout,
            device=self._device,
        )
        training = validation = None
        if reason is None:
            num_images = len(self._images)
            training = store(
                key={**key, **of_training_images(recipe, self._dataset, self._images, self._views)},
                num_images=num_images,
                is_resident=self._is_resident(self._num_views * num_images * cost.layout.num_bytes),
            )
        if validated is self._network.module or prefix.digest(validated) == weights:
            num_images = len(self._dataset.validation)
            validation = store(
                key={**key, **of_validation_images(recipe, self._dataset)},
                num_images=num_images,
                is_resident=self._is_resident(num_images * cost.layout.num_bytes),
            )
        else:
            reason = "the average of the weights still moves in the frozen layers"
        if training is None and validation is None:
            self._sentence = f"{_ANEW}: {reason}"
            return None
        return _Stores(prefix=prefix, training=training, validation=validation, why_not=reason)

    def _frozen(self, cost: PrefixCost, phase: Phase, phase_index: int) -> PhaseFrozen:
        """By what is known before the phase, so that a training that goes on decides as it did."""
        return PhaseFrozen(
            flops=cost.flops,
            num_bytes=cost.layout.num_bytes,
            epochs=phase.epochs,
            num_images=len(self._images),
            num_per_epoch=self._images.num_per_epoch,
            num_validated=len(self._dataset.validation),
            num_views=self._num_views,
            is_shared=is_shared(self._recipe, phase_index),
            device_type=self._device.type,
        )

    @property
    def _num_views(self) -> int:
        """Of training images."""
        return 1 if self._views is None else self._views.num_views

    def _is_resident(self, num_bytes: int) -> bool:
        """On a GPU, where there is room beside the images; a CPU maps them."""
        return self._device.type == "cuda" and num_bytes < room_for_images(self._device) // 2

    def _made(self, stores: _Stores, epoch: int, validated: nn.Module) -> Iterator[None]:
        if stores.training is not None:
            view = self._view(epoch)
            yield from stores.training.making(view, partial(self._computed, stores.prefix, view))
        if stores.validation is not None:
            for number in range(num_views(self._recipe.evaluation)):
                compute = partial(self._computed_of_validation, stores.prefix, validated, number)
                yield from stores.validation.making(number, compute)

    def _view(self, epoch: int) -> int:
        return 0 if self._views is None else self._views.of_epoch(epoch)

    def _computed(self, prefix: FrozenPrefix, view: int) -> Iterator[Tensor]:
        """Features of all kept training images in a view."""
        preprocessing = self._preprocessing

        def seen(images_BCLL: Tensor, positions_B: Tensor) -> Tensor:
            if self._views is None:
                return images_BCLL
            return self._views.changed(images_BCLL, positions_B, view)

        return self._through(prefix.prefix(self._network.module), self._images.images, seen, preprocessing)

    def _computed_of_validation(
        self, prefix: FrozenPrefix, validated: nn.Module, number: int
    ) -> Iterator[Tensor]:
        preprocessing, evaluation = self._preprocessing, self._recipe.evaluation

        def seen(images_BCLL: Tensor, _: Tensor) -> Tensor:
            return views_of_batch(preprocessing, images_BCLL, evaluation)[number]()

        return self._through(prefix.prefix(validated), self._validation, seen, preprocessing)

    def _through(
        self,
        prefix: nn.Module,
        images_NHWC: DeviceImages,
        seen: Callable[[Tensor, Tensor], Tensor],
        preprocessing: Preprocessing,
    ) -> Iterator[Tensor]:
        start = 0
        for images_BHWC in images_NHWC.split(evaluation_batch_size(preprocessing, self._device)):
            prefix.eval()
            positions_B = torch.arange(start, start + len(images_BHWC), device=self._device)
            start += len(images_BHWC)
            with torch.no_grad(), autocast(self._device), deterministic(self._device):
                images_BCSS = seen(preprocessing.scaled(images_BHWC), positions_B)
                features = prefix(preprocessing.normalised(images_BCSS))
            yield features

    def _give_up(self, reason: str) -> None:
        stores = self._stores
        if stores is not None:
            stores.close()
        self._stores = None
        self._sentence = f"{_ANEW}, as their output cannot be kept: {reason}"


def _sentence(stores: _Stores) -> str:
    kept = [store for store in (stores.training, stores.validation) if store is not None]
    seconds, num_made = sum(store.seconds for store in kept), sum(store.num_made for store in kept)
    what = " and ".join(
        f"{store.num_images:,} {name} images"
        for store, name in ((stores.training, "training"), (stores.validation, "validation"))
        if store is not None
    )
    how = f"made here in {seconds:.1f} s" if num_made else "made by an earlier training on this machine"
    megabytes = sum(store.num_bytes for store in kept) / 1e6
    text = (
        f"the frozen layers up to {stores.prefix.name} are computed once for {what} "
        f"({megabytes:.1f} MB a view, {how})"
    )
    return text if stores.why_not is None else f"{text}; not for the others: {stores.why_not}"
