"""Finds plugins through entry points, and says what is wrong with them.

Discovery reads metadata only: no plugin is imported until somebody asks for it by name or
hands over a model of its framework. A plugin that is broken, or claimed twice, therefore
hurts nobody else.
"""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .words.cards import NAME, PROSE, TEXT, Record, Telling, Told, table
from .words.errors import BackendConflictError, BackendLoadError, InputError, nearest
from .words.given import shown
from .words.text_tables import named

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True, repr=False)
class PluginStatus(Record):
    """What is known of one plugin.

    Parameters
    ----------
    name : str
        The entry point's name.
    status : str
        ``loaded``, ``available`` (found, not imported so far), ``missing dependency`` or ``broken``.
    distribution : str
        Name and version of the distribution that provides it.
    target : str
        What the entry point refers to, as ``module:attribute``.
    reason : str
        Why it is broken, or what is missing; empty otherwise.
    install : str
        The command that installs what is missing; empty otherwise.
    """

    name: str
    status: str
    distribution: str = ""
    target: str = ""
    reason: str = ""
    install: str = ""

    about = ("name", "status")


class Statuses(Telling, dict[str, PluginStatus]):
    """What is known of plugins, by their names."""

    def __repr__(self) -> str:
        return f"<{named([f'{name}: {found.status}' for name, found in self.items()]) or 'no plugin'}>"

    def _told(self) -> Told:
        columns = {"name": NAME, "status": TEXT, "from": TEXT, "because": PROSE, "install": NAME}
        return Told(
            named([f"{name}: {found.status}" for name, found in self.items()]) or "no plugin is installed",
            [
                table(
                    columns,
                    list(self.values()),
                    lambda it: (it.name, it.status, it.distribution, it.reason, it.install),
                )
            ],
        )


class _Source(NamedTuple):
    """Where a plugin comes from: an entry point, or a call of ``register``."""

    name: str
    target: str
    distribution: str
    version: str
    extras: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    value: Any = None

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}".strip()

    def load(self) -> Any:
        if self.value is not None:
            return self.value
        module, _, attribute = self.target.partition(":")
        loaded: Any = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            loaded = getattr(loaded, part)
        return loaded

    def install_command(self, missing: str) -> str:
        """The command that brings `missing`; for the framework itself through an extra, where there is one.

        A module may come from a distribution of another name. That is known where the plugin requires it.
        """
        root = missing.partition(".")[0]
        if root == self.name and self.name in self.extras:
            return f'pip install "{self.distribution}[{self.name}]"'
        return f"pip install {root if all(map(_has_distribution, self.requires)) else self.distribution}"


def _source_of(entry_point: EntryPoint) -> _Source:
    distribution = entry_point.dist
    if distribution is None:
        return _Source(entry_point.name, entry_point.value, "an unnamed distribution", "")
    extras = distribution.metadata.get_all("Provides-Extra") or []
    name, version = distribution.metadata["Name"], distribution.version
    requires = (re.split(r"[^\w.-]", given)[0] for given in distribution.requires or [] if ";" not in given)
    return _Source(entry_point.name, entry_point.value, name, version, tuple(extras), tuple(requires))


class Registry:
    """The plugins of one entry-point group, loaded one by one when asked for.

    Parameters
    ----------
    group : str
        The entry-point group, such as ``netviz.backends``.
    noun : str
        What its members are called in messages.
    required : tuple of str
        The attributes that a loaded plugin must have.
    """

    def __init__(self, group: str, noun: str, required: tuple[str, ...] = ()) -> None:
        self.group, self.noun, self.required = group, noun, required
        self._registered: dict[str, _Source] = {}
        self.refresh()

    def refresh(self) -> None:
        """Forget what was discovered and loaded; what was registered stays."""
        self._discovered: dict[str, list[_Source]] | None = None
        self._loaded: dict[str, Any] = {}
        self._failed: dict[str, BackendLoadError] = {}

    def register(self, name: str, target: Any) -> None:
        """Add a plugin for this process, ahead of an installed one of the same name.

        Parameters
        ----------
        name : str
            Its name; for a backend the root module of its framework.
        target : object, class or str
            The plugin, its class, or ``"module:attribute"``, which is imported only when needed.
        """
        if not isinstance(name, str) or not name:
            raise InputError(f"a {self.noun} cannot be called {shown(name)}; give its name as a string")
        if isinstance(target, str):
            module, separator, attribute = target.partition(":")
            if not (module and separator and attribute):
                raise InputError(f"the target {target!r} is not of the form 'module:attribute'")
            source = _Source(name, target, "registered by hand", "")
        else:
            described = target if isinstance(target, type) else type(target)
            label = f"{described.__module__}:{described.__qualname__}"
            source = _Source(name, label, "registered by hand", "", value=target)
        self._registered[name] = source
        self._loaded.pop(name, None)
        self._failed.pop(name, None)

    def names(self) -> list[str]:
        """Every name that is registered or installed, without importing any plugin."""
        return sorted({*self._registered, *self._discover()})

    def statuses(self) -> Statuses:
        """The state of every plugin by name, without importing any."""
        return Statuses((name, self._status(name)) for name in self.names())

    def get(self, name: str) -> Any:
        """Load one plugin, or return it if it is loaded.

        Raises
        ------
        LookupError
            As `InputError`, if there is none of that name.
        BackendConflictError
            If two distributions claim the name.
        BackendLoadError
            If it cannot be imported, or lacks what every plugin must have.
        """
        if not isinstance(name, str):
            raise self._unknown(name)
        if name in self._loaded:
            return self._loaded[name]
        if name in self._failed:
            raise self._failed[name].with_traceback(None)
        source = self._source(name)
        try:
            self._loaded[name] = self._load(source)
        except BackendLoadError as error:
            self._failed[name] = error
            raise
        return self._loaded[name]

    def _discover(self) -> dict[str, list[_Source]]:
        if self._discovered is None:
            from importlib.metadata import entry_points

            found: dict[str, list[_Source]] = {}
            for entry_point in entry_points(group=self.group):
                source = _source_of(entry_point)
                claims = found.setdefault(entry_point.name, [])
                # One distribution may stand on the path twice (an editable install beside its build).
                if all(claim.distribution != source.distribution for claim in claims):
                    claims.append(source)
            self._discovered = found
        return self._discovered

    def _unknown(self, name: object) -> InputError:
        known = nearest(str(name), self.names()) or "none is installed"
        return InputError(f"there is no {self.noun} {shown(name)}; {known}")

    def _source(self, name: str) -> _Source:
        if name in self._registered:
            return self._registered[name]
        claims = self._discover().get(name, [])
        if not claims:
            raise self._unknown(name)
        if len(claims) > 1:
            raise BackendConflictError(
                f"the {self.noun} {name!r} is claimed by {' and by '.join(c.origin for c in claims)}; "
                f"uninstall one of them, or choose with netviz_core.register_{self.noun}({name!r}, …)"
            )
        return claims[0]

    def _load(self, source: _Source) -> Any:
        where = f"the {self.noun} {source.name!r} (entry point {source.target}, from {source.origin})"
        try:
            loaded = source.load()
            plugin = loaded() if inspect.isclass(loaded) else loaded
        except ImportError as error:
            command = source.install_command(error.name or source.name)
            if isinstance(error, ModuleNotFoundError) and error.name and not _is_installed(error.name):
                told = f"{error.name} is not installed; install it: {command}; {where} needs it"
            else:
                told = f"{where} could not be imported: {error}; to install what it needs: {command}"
            raise BackendLoadError(told, name=error.name) from error
        except (Exception, SystemExit) as error:
            raise BackendLoadError(
                f"{where} failed while it was loaded: {type(error).__name__}: {error}; "
                f"repair or uninstall {source.distribution}"
            ) from error
        lacking = [part for part in self.required if not hasattr(plugin, part)]
        if lacking:
            raise BackendLoadError(
                f"{where} is no {self.noun}: it lacks {', '.join(lacking)}; "
                f"see netviz_core.{self.noun}_api.{self.noun.capitalize()}"
            )
        return plugin

    def _status(self, name: str) -> PluginStatus:
        try:
            source = self._source(name)
        except BackendConflictError as conflict:
            return PluginStatus(name, "broken", reason=str(conflict))
        described = (source.origin, source.target)
        if not isinstance(name, str):
            raise self._unknown(name)
        if name in self._loaded:
            return PluginStatus(name, "loaded", *described)
        failure = self._failed.get(name)
        missing = self._missing_module(source)
        if missing:
            command = source.install_command(missing)
            return PluginStatus(
                name, "missing dependency", *described, f"{missing} is not installed", command
            )
        if failure is not None:
            return PluginStatus(name, "broken", *described, str(failure))
        return PluginStatus(name, "available", *described)

    def _missing_module(self, source: _Source) -> str | None:
        """The module that keeps a plugin from loading, as far as can be told without importing it."""
        failure = self._failed.get(source.name)
        if failure is not None and isinstance(failure.__cause__, ModuleNotFoundError):
            return failure.__cause__.name
        if self.noun == "backend" and source.value is None and not _is_installed(source.name):
            return source.name
        return None


def _is_installed(root_module: str) -> bool:
    import importlib.util

    try:
        return importlib.util.find_spec(root_module) is not None
    except (ImportError, ValueError):
        # A module that was put into sys.modules by hand has no spec; it is there all the same.
        return True


def _has_distribution(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
