"""An EVM, asked by JSON lines. Run by the Python of an environment that has pyrevm."""

from __future__ import annotations

import pyrevm
from lines import serve

CALLER = "0x" + "ca" * 20
GAS_MAX = 10_000_000


class Chain:
    """One chain, kept between the lines."""

    def __init__(self) -> None:
        self._evm = pyrevm.EVM()

    def start(self, chain_id: int) -> None:
        """Begin anew on a chain with this id."""
        self._evm = pyrevm.EVM(env=pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=chain_id)))

    def place(self, address: str, deployed: str) -> None:
        """Put code at an address."""
        self._evm.insert_account_info(address, pyrevm.AccountInfo(code=bytes.fromhex(deployed)))

    def deploy(self, code: str) -> str:
        """Return the address of a new contract."""
        return self._evm.deploy(CALLER, bytes.fromhex(code))

    def call(self, address: str, data: str) -> str:
        """Return what a call that changes nothing returns, in hex."""
        return self._evm.message_call(
            CALLER, address, calldata=bytes.fromhex(data), gas=GAS_MAX, is_static=True
        ).hex()


if __name__ == "__main__":
    chain = Chain()
    serve({"start": chain.start, "place": chain.place, "deploy": chain.deploy, "call": chain.call})
