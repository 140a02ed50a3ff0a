"""Archives of exports that must not stay."""

import uuid
from datetime import datetime

from annotation.models import Study
from jobs.services import enqueue


def remove_archives(study: Study, since: datetime | None = None) -> int:
    """Remove a study's archives, or those made since a moment, inside the caller's transaction; returns how many.

    A worker deletes the files, since only workers are sure to reach them. The log still says that there was an
    export; what was downloaded before is out of reach.
    """
    archives = study.data_exports.all() if since is None else study.data_exports.filter(created_at__gte=since)
    names = [archive.artefact for archive in archives if archive.artefact]
    n_removed = len(archives)
    archives.delete()
    if names:
        enqueue(
            kind="erase_files",
            key=f"erase_files:{uuid.uuid4()}",
            payload={"study": study.pk, "names": names},
        )
    return n_removed
