"""Several functions behind one address.

python examples/functions.py
curl -d a=1 -d b=2 localhost:5020/add
"""

from izzati import Backend, Problem


def add(text, data, *, request):
    """Add two numbers: of a form, where they are text, of JSON, or of the address."""
    try:
        return {"sum": float(text["a"]) + float(text["b"]), "for": request.address}
    except (KeyError, TypeError, ValueError) as error:
        raise Problem(400, "There are no two numbers.", hint="Send a=1 and b=2.") from error


def count(text, data):
    """Count the bytes of each file."""
    return {file.filename: file.size for file in data}


def greet(text, data):
    """Greet a dog by its name in the path."""
    return f"Hello, {text['name']}"


if __name__ == "__main__":
    Backend({"/add": add, "/count": count, "/dogs/<name>": greet}).run()
