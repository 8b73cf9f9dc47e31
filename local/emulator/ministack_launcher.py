"""Starts the pinned MiniStack with the gaps closed that the rest of the project would otherwise have to know about.

    python ministack_launcher.py <expected version> <address of the Lambda host>

Standard input is the parent's end of a pipe: when it closes, the parent is gone, however it died, and so is this.
"""

import os
import sys
import threading
from importlib import metadata

EXIT_WRONG_VERSION = 64
EXIT_PATCH_FAILED = 65


def end_with_parent():
    # Not sys.stdin: a thread that waits in its buffer keeps the interpreter from ending in order.
    while os.read(0, 4096):
        pass
    os._exit(0)


def main():
    expected_version, lambda_host_url = sys.argv[1:3]
    sys.argv = sys.argv[:1]
    version = metadata.version("ministack")
    if version != expected_version:
        print(f"MiniStack {version} is installed, but the patches are for {expected_version}.", file=sys.stderr)
        sys.exit(EXIT_WRONG_VERSION)
    threading.Thread(target=end_with_parent, daemon=True).start()

    import dynamodb_patch
    import lambda_patch
    import step_functions_patch
    from patching import PatchError

    try:
        dynamodb_patch.apply()
        lambda_patch.apply(lambda_host_url)
        step_functions_patch.apply()
    except PatchError as error:
        print(f"MiniStack {version} can not be patched: {error}.", file=sys.stderr)
        sys.exit(EXIT_PATCH_FAILED)

    from ministack.app import main as serve

    serve()


main()
