"""The conversation of the programs `converse_*`: two questions about the weather, each answered with a function's help.

Imported by the programs and by their provider, so it needs nothing but Python.
"""

QUESTIONS = ("How is the weather in Rome?", "And how is it in Paris?")
CITIES = ["Rome", "Paris"]


def sunny(city: str) -> str:
    """What the function returns."""
    return f"sunny in {city}"


def answer(reported: str) -> str:
    """The model's answer after it has called the function."""
    return f"The function reports that it is {reported} and that it will stay so until tomorrow."


def check(name: str, streamed: list[str], final: list[str], called_with: list[str]) -> None:
    """Each answer was streamed once and whole, and the function ran once for each question."""
    expected = [answer(sunny(city)) for city in CITIES]
    assert streamed == expected, streamed
    assert final == expected, final
    assert called_with == CITIES, called_with
    print(f"ok {name}", flush=True)
