// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {ERC1271} from "solady/src/accounts/ERC1271.sol";

/// @notice A wallet that vouches for its owner's orders, as the venue's deposit wallets do.
/// @dev All of the checking is solady's: ERC-1271 with the nested typed data of ERC-7739.
contract DepositWallet is ERC1271 {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function _domainNameAndVersion()
        internal
        pure
        override
        returns (string memory name, string memory version)
    {
        return ("DepositWallet", "1");
    }

    function _erc1271Signer() internal view override returns (address) {
        return OWNER;
    }
}
