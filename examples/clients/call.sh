#!/bin/sh
# Calls a function with text and a photo, by curl: sh call.sh http://localhost:5020/ rex.jpg answer
# Its answer is in the file that is named last; a refusal ends with the exit code 22, and is on stderr.
set -eu
url=$1 photo=$2 answer=$3

# Each -F is a field: a word, a value as JSON, or a file. Without a file, --json '{"name": "Rex"}' is shorter.
curl --silent --show-error --fail-with-body --output "$answer" \
    -F name=Rex \
    -F 'owner={"age": 40};type=application/json' \
    -F "photo=@$photo" \
    "$url" || {
    code=$?
    cat "$answer" >&2
    rm -f "$answer"
    exit $code
}
