"""Keeps the files: uploads by key and name, renderings by what they were made of, output links.

Uploads belong to the account that made them and end after their life; output links end too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlencode

from services.emulator.pace import Pace
from services.emulator.render import Plan, render
from services.emulator.settings import Settings
from services.emulator.stamp import make_stamp
from services.emulator.task import Output

# Raised by hand when rendering changes, so that files of an older recipe are not reused.
RECIPE = 1
_KINDS = {
    "image": {"png", "jpg", "jpeg", "webp", "gif", "bmp"},
    "video": {"mp4", "mov", "avi", "mkv", "webm", "m4v"},
    "audio": {"mp3", "wav", "flac", "m4a", "ogg"},
}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of one account. `original` are all the names it was sent under."""

    key: str
    name: str
    kind: str
    sha256: str
    size: int
    path: Path
    original: tuple[str, ...]
    expires_at: float


class MediaStore:
    """Files on disk under one folder and their indexes in memory."""

    def __init__(self, settings: Settings, pace: Pace, base_url: Callable[[], str]) -> None:
        self._settings = settings
        self._pace = pace
        self._base_url = base_url
        settings.data.mkdir(parents=True, exist_ok=True)
        self._secret = _kept_secret(settings.data / "links.key")
        self._uploads: dict[tuple[str, str], Upload] = {}
        self._outputs: dict[str, Output] = {}
        self._gone: dict[str, int] = {}
        self._renders: dict[str, asyncio.Future[tuple[Path, str]]] = {}
        self._pool = ThreadPoolExecutor(settings.render_workers, "render")
        for name in ("uploads", "renders"):
            (settings.data / name).mkdir(parents=True, exist_ok=True)

    async def save_upload(self, key: str, prefix: str, original: str, data: bytes) -> Upload:
        """Keep an uploaded file under `<prefix>/<sha256>.<extension>`."""
        digest = await asyncio.to_thread(_sha256, data)
        extension = _extension(original)
        # A ZIP comes back as a bare hash without extension (reference section 2.6).
        bare = extension in {"", "zip"}
        name = digest if bare else f"{prefix}/{digest}.{extension}"
        path = self._settings.data / "uploads" / digest
        if not path.exists():
            await asyncio.to_thread(_write, path, data)
        return self.know_upload(key, name, original, digest, len(data), time.time())

    def know_upload(
        self, key: str, name: str, original: str, digest: str, size: int, uploaded_at: float
    ) -> Upload:
        """Put a stored file into the index, under one more original name if it is there."""
        before = self._uploads.get((key, name))
        names = dict.fromkeys((*(before.original if before else ()), original))
        extension = _extension(original)
        kind = next((kind for kind, known in _KINDS.items() if extension in known), "file")
        path = self._settings.data / "uploads" / digest
        ends = uploaded_at + self._pace.real_s(self._settings.upload_life_s)
        upload = Upload(key, name, kind, digest, size, path, tuple(names), ends)
        self._uploads[key, name] = upload
        return upload

    def find_upload(self, key: str, name: str) -> Upload | None:
        """Return a file that this account may still use under that name."""
        upload = self._uploads.get((key, name))
        return upload if upload is not None and upload.expires_at > time.time() else None

    def input_url(self, upload: Upload) -> str:
        """Return the signed link under which an upload can be read back."""
        return self._sign(f"/input/{upload.name}", upload.expires_at)

    def read_input(self, name: str) -> bytes | None:
        """Return the bytes of any account's upload, for its signed link."""
        same = (item for (_, stored), item in self._uploads.items() if stored == name)
        upload = next(same, None)
        return upload.path.read_bytes() if upload is not None else None

    async def make_output(self, plan: Plan, task_id: str) -> Output:
        """Render, or reuse an equal rendering, and give the task its own link and bytes."""
        path, extension = await self._render_once(plan)
        token, name = secrets.token_hex(12), f"ComfyUI_{task_id[-5:]}_.{extension}"
        size = path.stat().st_size
        stamp, stamp_at = make_stamp(extension, size, task_id)
        expires_at = time.time() + self._pace.real_s(self._settings.output_life_s)
        url = self._sign(f"/output/{token}/{name}", expires_at)
        draft = Output(
            token, name, extension, url, path, stamp, stamp_at, "", size + len(stamp), expires_at
        )
        data = await asyncio.to_thread(draft.read)
        digest = await asyncio.to_thread(_sha256, data)
        output = replace(draft, sha256=digest, size=len(data))
        self._outputs[token] = output
        return output

    def know_output(self, output: Output) -> None:
        """Put an output of an earlier run of the emulator into the index."""
        self._outputs[output.token] = output

    def render_path(self, name: str) -> Path:
        """Return where a rendering of that file name lies."""
        return self._settings.data / "renders" / name

    def expire_output(self, output: Output, status: int) -> None:
        """Let a link answer with `status` from now on."""
        self._gone[output.token] = status

    def find_output(self, token: str, name: str) -> Output | int:
        """Return what a link leads to, or the HTTP status that it answers instead."""
        output = self._outputs.get(token)
        if output is None or output.name != name:
            return 404
        if token in self._gone:
            return self._gone[token]
        return output if output.expires_at > time.time() else 410

    def is_signed(self, path: str, expires: str, signature: str) -> bool:
        """Say whether a link's signature is ours and its time is not over."""
        good = hmac.compare_digest(self._signature(path, expires).encode(), signature.encode())
        return good and expires.isdigit() and int(expires) >= time.time()

    def close(self) -> None:
        """Stop the render threads; what has begun is finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _render_once(self, plan: Plan) -> tuple[Path, str]:
        """Share one rendering among all tasks with the same work and inputs."""
        name = await asyncio.to_thread(_fingerprint, plan)
        shared = self._renders.get(name)
        if shared is None:
            target = self._settings.data / "renders" / name
            loop = asyncio.get_running_loop()
            shared = loop.run_in_executor(self._pool, _render_to, plan, target)
            self._renders[name] = shared
            shared.add_done_callback(lambda done: self._forget_failed(name, done))
        # One task's cancellation must not end a rendering that others wait for.
        return await asyncio.shield(shared)

    def _forget_failed(self, name: str, done: asyncio.Future[tuple[Path, str]]) -> None:
        if done.cancelled() or done.exception() is not None:
            del self._renders[name]

    def _sign(self, path: str, expires_at: float) -> str:
        expires = str(int(expires_at) + 1)
        query = urlencode({"Expires": expires, "Signature": self._signature(path, expires)})
        return f"{self._base_url()}{path}?{query}"

    def _signature(self, path: str, expires: str) -> str:
        message = f"{path}:{expires}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()[:32]


def _render_to(plan: Plan, target: Path) -> tuple[Path, str]:
    """Render unless an earlier run of the emulator did; return the file and its extension."""
    for extension in ("png", "mp4"):
        if (known := target.with_suffix(f".{extension}")).exists():
            return known, extension
    data, extension = render(plan)
    path = target.with_suffix(f".{extension}")
    _write(path, data)
    return path, extension


def _extension(name: str) -> str:
    found = PurePosixPath(name).suffix.lower().lstrip(".")
    return found if found.isascii() and found.isalnum() else ""


def _kept_secret(path: Path) -> bytes:
    """Return the key that signs links; it outlives a restart, and so do the links."""
    if not path.exists():
        _write(path, secrets.token_bytes(32))
    return path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    """Write a file that is either whole or absent."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    part.write_bytes(data)
    part.replace(path)


def _fingerprint(plan: Plan) -> str:
    recipe = f"{RECIPE}:{plan.work.value}:{plan.resolution}:{plan.fast}"
    digest = hashlib.sha256(recipe.encode())
    for _, data in plan.inputs:
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
