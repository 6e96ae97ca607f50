"""Shopping and buying: version 2 of Segment's ecommerce spec, online and at the till.

Beyond that spec: `cart_id` on checkout and order events, and on orders what the till knows, so that a sale
in a store is an `Order Completed` like any other. Money is decimal in major units of `currency`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.common import Id, Price, Quantity
from schemas.currency import Currency


class Line(msgspec.Struct, gc=False):
    """One product: of a list, a cart or an order."""

    product_id: Id
    price: Price | None = None
    quantity: Quantity | None = None
    category: str | None = None
    brand: str | None = None
    name: str | None = None
    sku: str | None = None
    variant: str | None = None
    coupon: str | None = None
    position: float | None = None
    url: str | None = None
    image_url: str | None = None


class ProductViewed(Line):
    """Product Viewed and Product Clicked. `value` is the price times the quantity."""

    currency: Currency | None = None
    value: Price | None = None


class CartChanged(Line):
    """Product Added and Product Removed. Without `cart_id` the customer has one cart."""

    quantity: Quantity = 1
    cart_id: Id | None = None
    currency: Currency | None = None


class WishlistChanged(Line):
    """Product Added to Wishlist, Product Removed from Wishlist, Wishlist Product Added to Cart."""

    wishlist_id: Id | None = None
    wishlist_name: str | None = None
    cart_id: Id | None = None
    currency: Currency | None = None


class ProductShared(Line):
    share_via: str | None = None
    share_message: str | None = None
    recipient: str | None = None


class ProductReviewed(msgspec.Struct, gc=False):
    product_id: Id
    review_id: Id | None = None
    review_body: str | None = None
    rating: str | float | None = None


class ProductsSearched(msgspec.Struct, gc=False):
    query: str | dict[str, Any] | None = None


class Choice(msgspec.Struct, gc=False):
    """A filter or an order of a product list."""

    type: str | None = None
    value: str | None = None


class ProductList(msgspec.Struct, gc=False):
    """Product List Viewed and Product List Filtered."""

    list_id: Id | None = None
    category: str | None = None
    products: list[Line] | None = None
    filters: list[Choice] | None = None
    sorts: list[Choice] | None = None


class Promotion(msgspec.Struct, gc=False):
    """Promotion Viewed and Promotion Clicked."""

    promotion_id: Id | None = None
    creative: str | None = None
    name: str | None = None
    position: str | None = None


class Cart(msgspec.Struct, gc=False):
    """Cart Viewed and Cart Shared."""

    cart_id: Id | None = None
    products: list[Line] | None = None
    share_via: str | None = None
    share_message: str | None = None
    recipient: str | None = None


class Coupon(msgspec.Struct, gc=False):
    """Coupon Entered, Applied, Denied and Removed."""

    coupon_id: Id | None = None
    coupon_name: str | None = None
    order_id: Id | None = None
    cart_id: Id | None = None
    discount: Price | None = None
    currency: Currency | None = None
    reason: str | None = None


class CheckoutStep(msgspec.Struct, gc=False):
    """Checkout Step Viewed, Checkout Step Completed and Payment Info Entered."""

    checkout_id: Id | None = None
    cart_id: Id | None = None
    order_id: Id | None = None
    step: float | None = None
    shipping_method: str | None = None
    payment_method: str | None = None
    value: Price | None = None
    currency: Currency | None = None


class PaymentFailed(CheckoutStep):
    """Ours: a payment was refused."""

    reason: str | None = None


class Order(msgspec.Struct, gc=False, kw_only=True):
    """What all order events may say."""

    affiliation: str | None = None
    subtotal: Price | None = None
    revenue: Price | None = None
    shipping: Price | None = None
    tax: Price | None = None
    discount: Price | None = None
    coupon: str | None = None
    currency: Currency | None = None
    checkout_id: Id | None = None
    cart_id: Id | None = None
    payment_method: str | None = None
    products: list[Line] | None = None


class CheckoutStarted(Order, kw_only=True):
    order_id: Id | None = None
    value: Price | None = None


class Sale(Order, kw_only=True):
    """An order, and at a till its store, terminal, clerk and receipt."""

    order_id: Id
    store_id: Id | None = None
    terminal_id: Id | None = None
    clerk_id: Id | None = None
    receipt_id: Id | None = None


class OrderCompleted(Sale, kw_only=True):
    """An order closes the cart it names, or every open cart of the customer when it names none."""

    total: Price


class OrderChanged(Sale, kw_only=True):
    """Order Updated, Order Refunded and Order Cancelled."""

    total: Price | None = None
    reason: str | None = None


class ItemReturned(Line, kw_only=True):
    """Ours: a product came back, to a store or by post. `total` is what was paid back for it."""

    return_id: Id | None = None
    order_id: Id | None = None
    total: Price | None = None
    currency: Currency | None = None
    reason: str | None = None
    store_id: Id | None = None
    terminal_id: Id | None = None
    clerk_id: Id | None = None
    receipt_id: Id | None = None


EVENTS: dict[str, type[msgspec.Struct]] = {
    "Products Searched": ProductsSearched,
    "Product List Viewed": ProductList,
    "Product List Filtered": ProductList,
    "Promotion Viewed": Promotion,
    "Promotion Clicked": Promotion,
    "Product Clicked": ProductViewed,
    "Product Viewed": ProductViewed,
    "Product Added": CartChanged,
    "Product Removed": CartChanged,
    "Cart Viewed": Cart,
    "Checkout Started": CheckoutStarted,
    "Checkout Step Viewed": CheckoutStep,
    "Checkout Step Completed": CheckoutStep,
    "Payment Info Entered": CheckoutStep,
    "Payment Failed": PaymentFailed,
    "Order Updated": OrderChanged,
    "Order Completed": OrderCompleted,
    "Order Refunded": OrderChanged,
    "Order Cancelled": OrderChanged,
    "Item Returned": ItemReturned,
    "Coupon Entered": Coupon,
    "Coupon Applied": Coupon,
    "Coupon Denied": Coupon,
    "Coupon Removed": Coupon,
    "Product Added to Wishlist": WishlistChanged,
    "Product Removed from Wishlist": WishlistChanged,
    "Wishlist Product Added to Cart": WishlistChanged,
    "Product Shared": ProductShared,
    "Cart Shared": Cart,
    "Product Reviewed": ProductReviewed,
}
