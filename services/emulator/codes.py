"""RunningHub's error codes with the words that each API generation uses for them.

Source: the error table of the project's RunningHub reference, section 5 (read 2026-11-24). v1
sends the code as an int with the English mnemonic, v2 as a string with prose.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeText:
    """The words of one code: `v1` goes into `msg`, `v2` into `errorMessage`."""

    v1: str
    v2: str


def _same(text: str) -> CodeText:
    return CodeText(text, text)


CODES: dict[int, CodeText] = {
    1: _same("API Key不存在"),
    301: CodeText("PARAMS_INVALID", "PARAMS_INVALID | 参数无效"),
    380: _same("WORKFLOW_NOT_EXISTS"),
    401: CodeText("API Key不存在", "ApiKey verification failed: API Key不存在"),
    412: _same("TOKEN_INVALID"),
    415: _same("TASK_INSTANCE_MAXED"),
    416: _same("TASK_CREATE_FAILED_BY_NOT_ENOUGH_WALLET"),
    421: CodeText(
        "TASK_QUEUE_MAXED",
        "api queue limit reached, please retry later | API队列已达上限，请稍后重试",
    ),
    423: _same("TASK_NOT_FOUNED"),
    433: _same("VALIDATE_PROMPT_FAILED"),
    435: _same("TASK_USER_EXCLAPI_INSTANCE_NOT_FOUND"),
    436: _same("TASK_USER_EXCLAPI_REQUIRED"),
    500: _same("UNKNOWN_ERROR"),
    605: _same("insufficient balance | 余额不足"),
    801: _same("APIKEY_UNSUPPORTED_FREE_USER"),
    802: _same("APIKEY_UNAUTHORIZED"),
    803: _same("APIKEY_INVALID_NODE_INFO"),
    804: _same("APIKEY_TASK_IS_RUNNING"),
    805: CodeText("APIKEY_TASK_STATUS_ERROR", "工作流运行失败"),
    806: _same("APIKEY_USER_NOT_FOUND"),
    807: _same("APIKEY_TASK_NOT_FOUND"),
    808: _same("APIKEY_UPLOAD_FAILED"),
    809: _same("APIKEY_FILE_SIZE_EXCEEDED"),
    810: _same("WORKFLOW_NOT_SAVED_OR_NOT_RUNNING"),
    811: _same("CORPAPIKEY_INVALID"),
    812: _same("CORPAPIKEY_INSUFFICIENT_FUNDS"),
    813: _same("APIKEY_TASK_IS_QUEUED"),
    814: _same("PERSONAL_QUEUE_COUNT_LIMIT"),
    901: _same("WEBAPP_NOT_EXISTS"),
    1000: _same("unknown error | 未知错误"),
    1001: _same("invalid url | 无效的URL"),
    1002: _same("invalid api key | 无效的API Key"),
    1003: _same("rate limit exceeded | 请求过于频繁"),
    1004: _same("task not found or expired | 任务不存在或已过期"),
    1005: _same("internal error | 内部错误"),
    1006: _same("execution timed out | 任务执行超时"),
    1007: _same("invalid parameters | 参数无效"),
    1008: _same("file size exceeded | 文件过大"),
    1009: _same("method not supported | 不支持的请求方法"),
    1010: _same("service unavailable | 服务不可用"),
    1011: _same("system busy, please retry later | 系统繁忙，请稍后重试"),
    1012: _same("upstream exception | 上游服务异常"),
    1013: _same("file processing failed | 文件处理失败"),
    1014: _same("an enterprise-shared api key is required | 需要企业级共享API Key"),
    1015: _same("generation failed | 生成失败"),
    1101: _same("node info error | 节点信息错误"),
    1404: _same("model not found | 模型不存在"),
    1500: _same("workflow not found | 工作流不存在"),
    1501: _same("content verification failed | 内容审核未通过"),
    1504: _same("model timed out | 模型调用超时"),
    1505: _same("photorealistic people are prohibited | 禁止真人写实内容"),
    1520: _same("concurrency limit | 并发限制"),
    1601: _same("ApiKey verification failed"),
}


def v1_text(code: int) -> str:
    """Return the v1 `msg` of a code; an unlisted code gets the catch-all mnemonic."""
    return CODES.get(code, CODES[500]).v1


def v2_text(code: int) -> str:
    """Return the v2 `errorMessage` of a code; an unlisted code gets the catch-all mnemonic."""
    return CODES.get(code, CODES[500]).v2


class Refusal(Exception):  # noqa: N818  an answer of the provider, not a defect
    """The provider says no: a code and, where it differs from the table, the words."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def words(self, generation: str) -> str:
        """Return the text as that generation says it."""
        # v1 answers with the bare mnemonic, except for its catch-all code 1; v2 names the culprit.
        if generation == "v1" and self.code != 1:
            return v1_text(self.code)
        return self.text or (v1_text if generation == "v1" else v2_text)(self.code)
