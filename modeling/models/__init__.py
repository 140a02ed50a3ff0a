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
from .fits import ApiToken, FitRun, FittedFile, ModelCard, PostScore, Prediction, ScoreFile, ScoreRun
from .reports import Report, ReportDocument, ReportFigure

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
    "PostScore",
    "Prediction",
    "PromptVersion",
    "ProviderBatch",
    "ProviderPace",
    "QualityFlag",
    "Report",
    "ReportDocument",
    "ReportFigure",
    "ScoreFile",
    "ScoreRun",
]
