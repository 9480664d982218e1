"""The smallest backend: it prints what arrives and says yes.

python examples/quickstart.py
curl -F name=Rex -F photo=@rex.jpg localhost:5020
"""

from izzati import Backend


def callback(text, data):
    print(text, [file.filename for file in data])
    return {"status": "yes"}


if __name__ == "__main__":
    Backend(callback).run()
