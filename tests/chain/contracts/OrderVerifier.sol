// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// The fields of generations 2 and 3, in the order they are hashed.
struct Order {
    uint256 salt;
    address maker;
    address signer;
    uint256 tokenId;
    uint256 makerAmount;
    uint256 takerAmount;
    uint8 side;
    uint8 signatureType;
    uint256 timestamp;
    bytes32 metadata;
    bytes32 builder;
}

/// The fields of generation 1.
struct OrderV1 {
    uint256 salt;
    address maker;
    address signer;
    address taker;
    uint256 tokenId;
    uint256 makerAmount;
    uint256 takerAmount;
    uint256 expiration;
    uint256 nonce;
    uint256 feeRateBps;
    uint8 side;
    uint8 signatureType;
}

interface IERC1271 {
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
}

/// @notice What an exchange asks of an order before it trades it: the digest, and who signed it.
/// @dev Written from the venue's published rules and nothing of ours. It has no storage and no
/// immutables, so that its code can stand at each exchange's own address, which is part of what is
/// signed.
contract OrderVerifier {
    uint8 private constant EOA = 0;
    uint8 private constant POLY_PROXY = 1;
    uint8 private constant POLY_GNOSIS_SAFE = 2;
    uint8 private constant POLY_1271 = 3;

    address private constant PROXY_FACTORY = 0xaB45c5A4B0c941a2F231C04C3f49182e1A254052;
    bytes32 private constant PROXY_INIT_CODE_HASH =
        0xd21df8dc65880a8606f09fe0ce3df9b8869287ab0b058be05aa9e8af6330a00b;
    address private constant SAFE_FACTORY = 0xaacFeEa03eb1561C4e67d661e40682Bd20E3541b;
    bytes32 private constant SAFE_INIT_CODE_HASH =
        0x2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf;
    uint256 private constant HALF_ORDER =
        0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    bytes32 private constant ORDER_TYPE_HASH = keccak256(
        "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
    );
    bytes32 private constant ORDER_V1_TYPE_HASH = keccak256(
        "Order(uint256 salt,address maker,address signer,address taker,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,uint256 expiration,uint256 nonce,uint256 feeRateBps,uint8 side,uint8 signatureType)"
    );
    bytes32 private constant DOMAIN_TYPE_HASH = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );

    /// @return digest the order's id.
    /// @return valid whether its maker has to stand by it.
    function verify(Order calldata order, string calldata version, bytes calldata signature)
        external
        view
        returns (bytes32 digest, bool valid)
    {
        digest = _digest(version, keccak256(abi.encode(ORDER_TYPE_HASH, order)));
        if (order.signatureType == POLY_1271) {
            valid = order.signer == order.maker && order.maker.code.length > 0
                && IERC1271(order.maker).isValidSignature(digest, signature)
                    == IERC1271.isValidSignature.selector;
        } else {
            valid = _isBy(order.signer, order.maker, order.signatureType, digest, signature);
        }
    }

    /// @dev As `verify`, for the first generation, which knows no contract wallets of its own.
    function verifyV1(OrderV1 calldata order, string calldata version, bytes calldata signature)
        external
        view
        returns (bytes32 digest, bool valid)
    {
        digest = _digest(version, keccak256(abi.encode(ORDER_V1_TYPE_HASH, order)));
        valid = _isBy(order.signer, order.maker, order.signatureType, digest, signature);
    }

    function _digest(string calldata version, bytes32 structHash) private view returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                DOMAIN_TYPE_HASH,
                keccak256("Polymarket CTF Exchange"),
                keccak256(bytes(version)),
                block.chainid,
                address(this)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }

    function _isBy(
        address signer,
        address maker,
        uint8 signatureType,
        bytes32 digest,
        bytes calldata signature
    ) private pure returns (bool) {
        if (signer == address(0) || _recover(digest, signature) != signer) return false;
        if (signatureType == EOA) return maker == signer;
        if (signatureType == POLY_PROXY) {
            bytes32 salt = keccak256(abi.encodePacked(signer));
            return maker == _create2(PROXY_FACTORY, salt, PROXY_INIT_CODE_HASH);
        }
        if (signatureType == POLY_GNOSIS_SAFE) {
            bytes32 salt = keccak256(abi.encode(signer));
            return maker == _create2(SAFE_FACTORY, salt, SAFE_INIT_CODE_HASH);
        }
        return false;
    }

    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address) {
        if (signature.length != 65) return address(0);
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        if (uint256(s) > HALF_ORDER) return address(0);
        return ecrecover(digest, uint8(signature[64]), r, s);
    }

    function _create2(address factory, bytes32 salt, bytes32 initCodeHash)
        private
        pure
        returns (address)
    {
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", factory, salt, initCodeHash));
        return address(uint160(uint256(hash)));
    }
}
