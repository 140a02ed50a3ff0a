"""The tables of everything that is measured, asked of models, fitted and reported."""

from .annotators import (
    AnnotatorModel,
    AnnotatorRun,
    FineTuning,
    ModelCall,
    ModelReading,
    PromptVersion,
    ProviderBatch,
    ProviderPace,
)
from .curation import (
    CheckItem,
    CheckLabel,
    ClassifierCheck,
    Curation,
    CurationDraw,
    FeedAppearance,
    FeedPost,
    FeedUpload,
)
from .data import DataExport, ImportRecord, QualityFlag
from .encoders import EncoderTraining, SoftLabelSet, TransferCheck, Work
from .experts import (
    ExpertItem,
    ExpertLabel,
    ExpertResolution,
    ExpertSet,
    Paraphrase,
    SplitOpening,
)
from .fits import ApiToken, FitRun, FittedFile, ModelCard, PostScore, Prediction, ScoreFile, ScoreRun
from .reports import Report, ReportDocument, ReportFigure
from .verification import RuleSet, Verification, VerificationDecision, VerificationItem

__all__ = [
    "AnnotatorModel",
    "AnnotatorRun",
    "ApiToken",
    "CheckItem",
    "CheckLabel",
    "ClassifierCheck",
    "Curation",
    "CurationDraw",
    "DataExport",
    "EncoderTraining",
    "ExpertItem",
    "ExpertLabel",
    "ExpertResolution",
    "ExpertSet",
    "FeedAppearance",
    "FeedPost",
    "FeedUpload",
    "FineTuning",
    "FitRun",
    "FittedFile",
    "ImportRecord",
    "ModelCall",
    "ModelCard",
    "ModelReading",
    "Paraphrase",
    "PostScore",
    "Prediction",
    "PromptVersion",
    "ProviderBatch",
    "ProviderPace",
    "QualityFlag",
    "Report",
    "ReportDocument",
    "ReportFigure",
    "RuleSet",
    "ScoreFile",
    "ScoreRun",
    "SoftLabelSet",
    "SplitOpening",
    "TransferCheck",
    "Verification",
    "VerificationDecision",
    "VerificationItem",
    "Work",
]
