"""What a worker does for calibration: each job computes first, then writes its effect at once."""

from annotation.models import Study
from jobs.errors import PermanentError
from jobs.registry import Effect, handles
from jobs.services import Claim

from .deriving import DERIVE, DerivationSettings
from .prestudy import derive_questions


@handles(DERIVE)
def derive_vcq(claim: Claim) -> Effect:
    """Choose calibration questions from a pre-study. What was chosen is the job's result; no study changes."""
    study = Study.objects.filter(pk=claim.payload["study"]).first()
    if study is None:
        raise PermanentError("The study is gone.")
    try:
        result = derive_questions(study, DerivationSettings(**claim.payload["settings"]), claim.report)
    except ValueError as error:
        raise PermanentError(str(error)) from error
    return lambda: result
