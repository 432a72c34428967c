# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does the steps of a restore in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _claims, _disks, _restore, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

Object = dict[str, Any]

GIVEN_ANNOTATION = "coursehub.jupyterhub/volume-given"
# More steps than any restore has: what goes round in circles is a defect, and must end.
MOST_STEPS = 40


class Swap:
    """A restore in place of one student's disk. ``deadline`` is in ``time.monotonic`` seconds."""

    def __init__(self, kube: Kube, disk: _disks.Disk, deadline: float) -> None:
        self._kube = kube
        self._disk = disk
        self._claims = _claims.Claims(kube, disk.namespace, deadline)
        self._temporary = _restore.temporary_name(disk.claim)
        self._complaint = ""

    def look(self) -> _restore.View:
        """Read what is there."""
        claim, temporary = self._claims.get(self._disk.claim), self._claims.get(self._temporary)
        fresh = self._claims.volume(_restore.fresh_volume_name(claim, temporary))
        if temporary is None and _restore.journal_of(fresh) is None:
            fresh = None
        journal = _restore.journal_of(fresh) or _restore.journal_of(temporary)
        return _restore.View(claim, temporary, fresh, self._claims.volume(journal.old_volume) if journal else None)

    def begun(self) -> _restore.Journal | None:
        """Return the journal of a restore that an earlier run has begun."""
        view = self.look()
        return _restore.journal_of(view.fresh) or _restore.journal_of(view.temporary)

    def begin(self, snapshot: _snapshots.Shot, safety: str) -> None:
        """Ask for the new volume, with the journal on its claim."""
        claim = self._claims.get(self._disk.claim)
        if claim is None:
            raise CoursehubError("the disk is gone")
        node = self._claims.node_for(claim)
        size = max(snapshot.size, self._disk.size)
        again = _restore.claim_again(claim, str(size), snapshot.name, datetime.now(UTC).isoformat(timespec="seconds"))
        journal = _restore.Journal(again, snapshot.name, safety, claim["spec"]["volumeName"])
        self._claims.create(_restore.temporary_claim(journal, node))

    def copy(self, snapshot: _snapshots.Shot, claim: str) -> None:
        """Make a claim of its own from a snapshot, and wait for its volume."""
        own = self._claims.get(self._disk.claim)
        if own is None:
            raise CoursehubError("the disk is gone")
        node = self._claims.node_for(own)
        body = _restore.copy_of(own, claim, str(max(snapshot.size, self._disk.size)), snapshot.name, node)
        self._claims.create(body)
        self._claims.await_bound(claim, "the new disk was not made")

    def finish(self) -> None:
        """Do all steps that are left. Raises CoursehubError where one can't be done; a later run goes on from there."""
        for _step in range(MOST_STEPS):
            view = self.look()
            step = _restore.next_step(view)
            if step == "done":
                if self._complaint:
                    raise CoursehubError(self._complaint)
                return
            self._do(step, view)
        raise CoursehubError(f"the restore made no progress; its last step was to {step}")

    def _do(self, step: str, view: _restore.View) -> None:
        steps: dict[str, Callable[[_restore.View], object]] = {
            "await volume": lambda _view: self._claims.await_bound(self._temporary, "the new volume was not made"),
            "write journal": self._write_journal,
            "refuse": self._refuse,
            "mark claim": self._mark,
            "remove claim": self._remove_claim,
            "make claim": self._make_claim,
            "remove temporary claim": lambda _view: self._claims.remove(self._temporary),
            "give volume to claim": self._give,
            "await claim": lambda _view: self._claims.await_bound(
                self._disk.claim, "the disk was not bound to its new volume"
            ),
            "remove old volume": self._remove_old,
            "clear journal": self._clear,
        }
        steps[step](view)

    def _refuse(self, view: _restore.View) -> None:
        raise CoursehubError(
            f"the claim {self._disk.claim} was made anew while its restore was interrupted, and may hold new work: copy"
            f" that, remove the claim, and run this again; the restored files are on the volume {name(view.fresh)}"
        )

    def _mark(self, view: _restore.View) -> None:
        self._claims.merge(self._disk.claim, annotated(self._journal(view).text()))

    def _remove_claim(self, _view: _restore.View) -> None:
        used = _disks.claims_in_use(self._kube.list("v1", "Pod", self._disk.namespace))
        if self._disk.claim in used:
            self._claims.merge(self._disk.claim, annotated(None))
            raise CoursehubError(
                f"the pod {used[self._disk.claim]} has the disk: stop the student's server and run this again"
            )
        self._claims.remove(self._disk.claim)

    def _make_claim(self, view: _restore.View) -> None:
        journal = self._journal(view)
        metadata, spec = journal.claim["metadata"], journal.claim["spec"]
        annotations = {**metadata["annotations"], _restore.JOURNAL_ANNOTATION: journal.text()}
        body = {
            **journal.claim,
            "metadata": {**metadata, "annotations": annotations},
            "spec": {**spec, "volumeName": name(view.fresh)},
        }
        self._claims.create(body)

    def _give(self, view: _restore.View) -> None:
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": self._disk.claim,
            "namespace": self._disk.namespace,
            "uid": view.claim["metadata"]["uid"] if view.claim else "",
            "resourceVersion": None,
        }
        self._claims.merge_volume(name(view.fresh), {"spec": {"claimRef": reference}})
        # The volume controller looks at a claim when it changes, and else only every 15 s.
        self._claims.merge(self._disk.claim, noted(GIVEN_ANNOTATION, name(view.fresh)))

    def _clear(self, view: _restore.View) -> None:
        # The volume last: while it has the journal, a run that was killed here comes back.
        gone = {_restore.JOURNAL_ANNOTATION: None, GIVEN_ANNOTATION: None}
        self._claims.merge(self._disk.claim, {"metadata": {"annotations": gone}})
        self._claims.merge_volume(name(view.fresh), annotated(None))

    def _write_journal(self, view: _restore.View) -> None:
        journal = _restore.journal_of(view.temporary)
        if journal is None:
            raise CoursehubError(f"the claim {self._temporary} is not one of a restore")
        keep = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
        # Before a claim goes, whatever the class says of its volumes.
        self._claims.merge_volume(journal.old_volume, keep)
        self._claims.merge_volume(name(view.fresh), {**keep, **annotated(journal.text())})

    def _remove_old(self, view: _restore.View) -> None:
        """Let the old volume go, of which the safety snapshot has everything; keep it where that can't be used."""
        journal = self._journal(view)
        item = self._kube.get(_snapshots.API_VERSION, _snapshots.KIND, journal.safety, self._disk.namespace)
        if item is not None and (item.get("status") or {}).get("readyToUse"):
            self._claims.let_go(journal.old_volume)
            return
        self._complaint = (
            f"the disk is restored, but its safety snapshot {journal.safety} can't be used: the old volume"
            f" {journal.old_volume} is kept, remove it by hand when nobody needs it"
        )
        without = replace(journal, old_volume="").text()
        self._claims.merge_volume(name(view.fresh), annotated(without))

    def _journal(self, view: _restore.View) -> _restore.Journal:
        journal = _restore.journal_of(view.fresh)
        if journal is None:
            raise CoursehubError(f"the volume {name(view.fresh)} has lost its journal")
        return journal


def name(item: Object | None) -> str:
    """Return an object's name, an empty string for none."""
    return str((item or {}).get("metadata", {}).get("name", ""))


def annotated(text: str | None) -> Object:
    """Return what writes the journal's annotation, or removes it."""
    return noted(_restore.JOURNAL_ANNOTATION, text)


def noted(annotation: str, text: str | None) -> Object:
    """Return what writes an annotation, or removes it."""
    return {"metadata": {"annotations": {annotation: text}}}
