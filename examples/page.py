"""A page for people: izzati-page makes it of the functions' docstrings.

pip install . ./plugins/izzati-page && python examples/page.py
Open http://localhost:5020 with a browser.
"""

from izzati import Backend, Problem, file_return


def mirror(text, data):
    """Send a photo back.

    What stands here is what the page says about the function.
    """
    if not data:
        raise Problem(400, "No photo arrived.", hint="Choose one, or take one.")
    return file_return(data[0])


def greet(text, data):
    """Greet a dog by its name."""
    return {"hello": text.get("name", "dog"), "sent": text}


if __name__ == "__main__":
    Backend({"/": mirror, "/greet": greet}, require=["page"], options={"page": {"title": "Dog show"}}).run()
