"""What all shapes are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Sentence = Annotated[str, Field(description="For people; may be worded otherwise at any time.")]
Name = Annotated[str, Field(description="A name of the inventory.")]


class Shape(BaseModel):
    """One object; the tests allow no key beside those named here."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
