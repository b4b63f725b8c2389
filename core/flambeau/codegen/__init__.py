"""Scalar formulas: the one text from which the kernels of every dialect are made.

The language is described in ``docs/formula-language.md``.  Formulas stay text until they are
needed: everything here takes text or a tree, and a text is parsed once.
"""

from __future__ import annotations

from flambeau.codegen.category import Category
from flambeau.codegen.errors import FormulaError
from flambeau.codegen.expression import (
    Binary,
    Call,
    Compare,
    Expression,
    Let,
    Literal,
    Logical,
    Name,
    Select,
    Term,
    Unary,
    constant,
    free_names,
    walk,
)
from flambeau.codegen.folding import fold
from flambeau.codegen.functions import FUNCTIONS
from flambeau.codegen.inference import infer, infer_terms
from flambeau.codegen.interpreter import evaluate
from flambeau.codegen.parser import parse
from flambeau.codegen.reduction import ArgReduction, Reduction, parse_reduction
from flambeau.codegen.reduction_interpreter import evaluate_reduction
from flambeau.codegen.substitution import inline, substitute

__all__ = [
    "FUNCTIONS",
    "ArgReduction",
    "Binary",
    "Call",
    "Category",
    "Compare",
    "Expression",
    "FormulaError",
    "Let",
    "Literal",
    "Logical",
    "Name",
    "Reduction",
    "Select",
    "Term",
    "Unary",
    "constant",
    "evaluate",
    "evaluate_reduction",
    "fold",
    "free_names",
    "infer",
    "infer_terms",
    "inline",
    "parse",
    "parse_reduction",
    "substitute",
    "walk",
]
