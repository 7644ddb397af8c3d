"""Options, written once: a field of a frozen dataclass is option of the command, TOML key, schema and reference.

::

    @options
    class IterationOptions:
        \"\"\"How counts become an image.

Attributes
----------
        method : {"osem", "mlem", "bsrem"}
            Algorithm; bsrem is penalised and converges.
        iterations : int
            Iterations over all views.
        \"\"\"

        method: Literal["osem", "mlem", "bsrem"] = "osem"
        iterations: Annotated[int, Limits(low=1)] = 10

The unit of a number is the end of its name (``administered_bq``): text is then "2.1 GBq" and the word of a front end
``administered``. The help is the numpydoc line.
"""

from hepatica.core.options.declare import options, verb
from hepatica.core.options.describe import Option, options_of, parameters
from hepatica.core.options.kinds import Fraction, Limits, NonNegative, Positive, Text, Unit, unit_of, word_of
from hepatica.core.options.read import from_texts, option_schema
from hepatica.core.options.toml_files import from_toml, line_of, toml_file, toml_template

__all__ = [
    "Fraction",
    "Limits",
    "NonNegative",
    "Option",
    "Positive",
    "Text",
    "Unit",
    "from_texts",
    "from_toml",
    "line_of",
    "option_schema",
    "options",
    "options_of",
    "parameters",
    "toml_file",
    "toml_template",
    "unit_of",
    "verb",
    "word_of",
]
