//! What restaurants, dishes and people are called, and what dishes cost in Indian rupees.

/// A dish: heading, name, price in paise, and whether it is made in a counted batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dish(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) i64,
    pub(super) bool,
);

/// A kind of kitchen.
#[derive(Debug)]
pub(super) struct Kitchen {
    pub(super) names: &'static [&'static str],
    pub(super) dishes: &'static [Dish],
}

/// Chains: their branches share item ids, so that one branch can take over another's order.
pub(super) const CHAINS: &[Kitchen] = &[
    Kitchen {
        names: &["Udupi Garden"],
        dishes: &[
            Dish("Tiffin", "Masala Dosa", 9_500, false),
            Dish("Tiffin", "Idli Vada", 7_000, false),
            Dish("Tiffin", "Rava Onion Dosa", 11_000, false),
            Dish("Rice", "Bisi Bele Bath", 10_500, true),
            Dish("Drinks", "Filter Coffee", 4_000, false),
        ],
    },
    Kitchen {
        names: &["Biryani Junction"],
        dishes: &[
            Dish("Biryani", "Chicken Dum Biryani", 28_500, false),
            Dish("Biryani", "Vegetable Biryani", 21_000, false),
            Dish("Starters", "Chicken 65", 23_000, false),
            Dish("Sides", "Mirchi ka Salan", 9_000, false),
            Dish("Drinks", "Sweet Lassi", 8_000, false),
        ],
    },
];

/// Single restaurants.
pub(super) const KITCHENS: &[Kitchen] = &[
    Kitchen {
        names: &["Malabar Kitchen", "Backwater Meals", "Coastal Table"],
        dishes: &[
            Dish("Meals", "Kerala Fish Curry Meal", 26_000, true),
            Dish("Breads", "Parotta (2)", 6_000, false),
            Dish("Mains", "Beef Ularthiyathu", 29_000, false),
            Dish("Desserts", "Palada Payasam", 11_000, true),
        ],
    },
    Kitchen {
        names: &["Amritsari Dhaba", "Lassi & Kulcha", "Punjab Express"],
        dishes: &[
            Dish("Mains", "Dal Makhani", 22_000, false),
            Dish("Mains", "Butter Chicken", 32_000, false),
            Dish("Breads", "Garlic Naan", 6_500, false),
            Dish("Specials", "Stuffed Kulcha Thali", 24_500, true),
        ],
    },
    Kitchen {
        names: &["Andhra Spice", "Guntur Mess", "Gongura House"],
        dishes: &[
            Dish("Meals", "Andhra Veg Meal", 18_000, false),
            Dish("Mains", "Gongura Mutton", 34_000, true),
            Dish("Rice", "Pulihora", 12_000, false),
            Dish("Drinks", "Buttermilk", 3_500, false),
        ],
    },
    Kitchen {
        names: &["Wok Street", "Indiranagar Momos", "Hakka Point"],
        dishes: &[
            Dish("Momos", "Chicken Momos (8)", 16_000, false),
            Dish("Noodles", "Hakka Noodles", 19_000, false),
            Dish("Starters", "Chilli Paneer", 21_500, false),
            Dish("Specials", "Thukpa of the Day", 22_000, true),
        ],
    },
    Kitchen {
        names: &["The Pizza Oven", "Slice & Co", "Forno Nostro"],
        dishes: &[
            Dish("Pizza", "Margherita", 31_000, false),
            Dish("Pizza", "Peri Peri Chicken", 42_000, false),
            Dish("Sides", "Garlic Bread", 14_000, false),
            Dish("Desserts", "Tiramisu", 19_500, true),
        ],
    },
];

/// Parts of cities that stand in restaurants' names.
pub(super) const QUARTERS: &[&str] = &[
    "Central",
    "Lake Road",
    "Market",
    "Station",
    "Temple Street",
    "Park",
    "Hill View",
];

/// Streets of customers.
pub(super) const STREETS: &[&str] = &[
    "1st Cross",
    "4th Main",
    "Church Street",
    "Lake View Road",
    "80 Feet Road",
    "Gandhi Nagar",
];

/// First names.
pub(super) const FIRST: &[&str] = &[
    "Asha", "Ravi", "Meena", "Imran", "Deepa", "Suresh", "Farah", "Kiran", "Latha", "Joseph", "Anil", "Divya",
];

/// Family names.
pub(super) const LAST: &[&str] = &[
    "Rao", "Khan", "Iyer", "Gowda", "Reddy", "Thomas", "Naidu", "Das", "Shetty", "Kumar",
];
